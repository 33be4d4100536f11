// The front end beside the same in whole numbers that cannot overflow.
module check_front_end #(
  parameter int TwoSided = 0,
  parameter int WCost = 4,
  parameter int WMod = 4,
  parameter int WSum = 6
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             restart_i,
  input logic             take_i,
  input logic             second_i,
  input logic             clear_i,
  input logic [WCost-1:0] cost_i
);

  localparam int Largest = 2 ** (WMod - 1) - 1;
  localparam int Most = 2 ** (WSum - 1) - 1;

  logic [WCost-1:0]       baseline;
  logic signed [WSum-1:0] sum;
  logic                   clamped, overflow, begun;

  mgd_front_end #(
    .TwoSided(TwoSided),
    .WCost   (WCost),
    .WMod    (WMod),
    .WSum    (WSum)
  ) dut (
    .clk_i     (clk_i),
    .rst_ni    (rst_ni),
    .restart_i (restart_i),
    .take_i    (take_i),
    .second_i  (second_i),
    .clear_i   (clear_i),
    .cost_i    (cost_i),
    .baseline_o(baseline),
    .sum_o     (sum),
    .clamped_o (clamped),
    .overflow_o(overflow)
  );

  // The model.
  logic signed [15:0] first_q, sum_q, difference, modulation, total;
  always_comb begin
    difference = $signed({1'b0, cost_i}) - first_q;
    if (TwoSided != 0) difference = -difference;
    modulation = difference;
    if (difference > Largest) modulation = Largest;
    if (difference < -Largest) modulation = -Largest;
    total = sum_q + modulation;
  end

  initial begun = 1'b0;
  always @(posedge clk_i) begun <= 1'b1;

  always @(posedge clk_i) begin
    if (!begun) begin
      first_q <= '0;
      sum_q <= '0;
    end else begin
      if (take_i && !second_i) first_q <= $signed({1'b0, cost_i});
      if (restart_i || clear_i) sum_q <= '0;
      else if (take_i && second_i) sum_q <= (total > Most) ? Most : (total < -Most - 1) ? -Most - 1 : total;
    end
  end

  always_comb begin
    assume (rst_ni == begun);
    if (begun) begin
      assert ($signed({1'b0, baseline}) == first_q);
      assert (sum == sum_q);
      assert (clamped == (take_i && second_i && difference != modulation));
      assert (overflow == (take_i && second_i && (total > Most || total < -Most - 1)));
    end
  end

endmodule
