// `Depth` parameters in a memory of one read and one write port, and the one update that they share.
//
// What is read at `read_row_i` is there one clock later, and so are the results of an update with it, which are then
// written to `write_row_i`.
module mgd_lane #(
  parameter int Merged = 0,
  parameter int WTheta = 8,
  parameter int WKept = 13,
  parameter int Shift = 6,
  parameter int WSum = 6,
  parameter int Depth = 9,
  parameter int WRow = 4
) (
  input  logic                     clk_i,
  input  logic        [WRow-1:0]   read_row_i,
  input  logic        [WRow-1:0]   write_row_i,
  input  logic                     sign_i,
  input  logic                     active_i,
  input  logic signed [WSum-1:0]   sum_i,
  input  logic                     accumulate_i,
  input  logic                     update_i,
  input  logic                     load_i,
  input  logic signed [WTheta-1:0] load_theta_i,
  output logic signed [WTheta-1:0] theta_o,
  output logic                     overflow_o,
  output logic                     limit_o
);

  logic        [WTheta+WKept-1:0] memory_q [Depth];
  logic        [WTheta+WKept-1:0] word_q;
  logic signed [WTheta-1:0]       theta, theta_next;
  logic        [WKept-1:0]        kept, kept_next;
  logic                           write;

  assign {theta, kept} = word_q;
  assign theta_o = theta;

  mgd_update #(
    .Merged(Merged),
    .WTheta(WTheta),
    .WKept (WKept),
    .Shift (Shift),
    .WSum  (WSum)
  ) u_update (
    .theta_i     (theta),
    .kept_i      (kept),
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

  assign write = accumulate_i | update_i | load_i;

  // A memory has no reset: every parameter is loaded before it is used.
  always_ff @(posedge clk_i) begin
    if (write) memory_q[write_row_i] <= load_i ? {load_theta_i, WKept'(0)} : {theta_next, kept_next};
    word_q <= memory_q[read_row_i];
  end

endmodule
