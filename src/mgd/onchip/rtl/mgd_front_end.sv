// From costs to the sum of C~ that is broadcast.
//
// One-sided, the first cost of a pair is the baseline C0, which stays valid until theta or the sample changes, and
// C~ = C - C0. Two-sided, the first is C+ and the second C-, and C~ = C+ - C-. C~ is clamped to +-(2^(WMod-1) - 1), and
// summed for as long as neither the perturbation nor theta changes.
module mgd_front_end #(
  parameter int TwoSided = 0,
  parameter int WCost = 8,
  parameter int WMod = 6,
  parameter int WSum = 6
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   restart_i,
  input  logic                   take_i,      // a cost is there
  input  logic                   second_i,    // it is the second of its pair
  input  logic                   clear_i,     // the sum has been broadcast
  input  logic        [WCost-1:0] cost_i,
  output logic        [WCost-1:0] baseline_o,
  output logic signed [WSum-1:0] sum_o,
  output logic                   clamped_o,   // pulses with the clock that takes
  output logic                   overflow_o
);

  // A minus in front of a size cast belongs to the size, as Yosys 0.23 reads it: so the least has a name too.
  localparam logic signed [WMod-1:0] Largest = {1'b0, {(WMod - 1) {1'b1}}};
  localparam logic signed [WMod-1:0] Least = -Largest;
  localparam int WDiff = ((WCost > WMod) ? WCost : WMod) + 1;

  logic        [WCost-1:0] baseline_q;
  logic signed [WSum-1:0]  sum_q, sum_next;
  logic signed [WDiff-1:0] cost, baseline, difference;
  logic signed [WMod-1:0]  modulation;
  logic                    too_high, too_low, sum_limited;

  assign cost = $signed(WDiff'(cost_i));
  assign baseline = $signed(WDiff'(baseline_q));
  assign difference = (TwoSided != 0) ? baseline - cost : cost - baseline;
  assign too_high = difference > WDiff'(Largest);
  assign too_low = difference < WDiff'(Least);
  assign modulation = too_high ? Largest : too_low ? Least : difference[WMod-1:0];

  // A hold that is longer than the circuit was built for saturates the sum.
  localparam int WTotal = ((WSum > WMod) ? WSum : WMod) + 1;
  logic signed [WTotal-1:0] total;
  assign total = WTotal'(sum_q) + WTotal'(modulation);

  mgd_saturate #(
    .WIn (WTotal),
    .WOut(WSum)
  ) u_saturate (
    .value_i  (total),
    .value_o  (sum_next),
    .limited_o(sum_limited)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      baseline_q <= '0;
      sum_q <= '0;
    end else begin
      if (take_i && !second_i) baseline_q <= cost_i;
      if (restart_i || clear_i) begin
        sum_q <= '0;
      end else if (take_i && second_i) begin
        sum_q <= sum_next;
      end
    end
  end

  assign baseline_o = baseline_q;
  assign sum_o = sum_q;
  assign clamped_o = take_i & second_i & (too_high | too_low);
  assign overflow_o = take_i & second_i & sum_limited;

endmodule
