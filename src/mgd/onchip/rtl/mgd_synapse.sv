// One parameter with registers of its own: theta, and what it keeps of the sums so far.
//
// The thetas of all synapses form a chain, for load and read-out: with `scan_i`, theta moves on to the next synapse.
// `scan_load_i` beside it says that new parameters come, and forgets what was kept.
module mgd_synapse #(
  parameter int Merged = 0,
  parameter int WTheta = 8,
  parameter int WKept = 13,
  parameter int Shift = 6,
  parameter int WSum = 6
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     sign_i,
  input  logic                     active_i,
  input  logic signed [WSum-1:0]   sum_i,
  input  logic                     accumulate_i,
  input  logic                     update_i,
  input  logic                     scan_i,
  input  logic                     scan_load_i,
  input  logic signed [WTheta-1:0] scan_theta_i,
  output logic signed [WTheta-1:0] theta_o,
  output logic        [WKept-1:0]  kept_o,
  output logic                     overflow_o,
  output logic                     limit_o
);

  logic signed [WTheta-1:0] theta_q, theta_next;
  logic        [WKept-1:0]  kept_q, kept_next;

  mgd_update #(
    .Merged(Merged),
    .WTheta(WTheta),
    .WKept (WKept),
    .Shift (Shift),
    .WSum  (WSum)
  ) u_update (
    .theta_i     (theta_q),
    .kept_i      (kept_q),
    .sign_i      (sign_i),
    .active_i    (active_i),
    .sum_i       (sum_i),
    .accumulate_i(accumulate_i),
    .update_i    (update_i),
    .theta_o     (theta_next),
    .kept_o      (kept_next),
    .overflow_o  (overflow_o),
    .limit_o     (limit_o)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      theta_q <= '0;
      kept_q <= '0;
    end else begin
      if (scan_i) begin
        theta_q <= scan_theta_i;
      end else if (accumulate_i | update_i) begin
        theta_q <= theta_next;
      end
      if (scan_i & scan_load_i) begin
        kept_q <= '0;
      end else if (accumulate_i | update_i) begin
        kept_q <= kept_next;
      end
    end
  end

  assign theta_o = theta_q;
  assign kept_o = kept_q;

endmodule
