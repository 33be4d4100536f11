// What a parameter is while it is perturbed: theta -+ Delta, with one bit more than theta, so that it is exact.
module mgd_drive #(
  parameter int WTheta = 8,
  parameter int AmplitudeBits = 2  // Delta is 2^AmplitudeBits steps
) (
  input  logic signed [WTheta-1:0] theta_i,
  input  logic                     perturb_i,
  input  logic                     sign_i,
  output logic signed [WTheta:0]   drive_o
);

  // +1 is 0...01 and -1 is 1...11, which are the sign, repeated, and a one.
  localparam int WUpper = WTheta + 1 - AmplitudeBits;
  logic signed [WTheta:0]   theta;
  logic signed [WUpper-1:0] step;

  assign theta = (WTheta + 1)'(theta_i);
  assign step = perturb_i ? $signed({{(WUpper - 1) {sign_i}}, 1'b1}) : '0;

  if (AmplitudeBits == 0) begin : gen_whole
    assign drive_o = theta + step;
  end else begin : gen_upper
    assign drive_o = {theta[WTheta:AmplitudeBits] + step, theta[AmplitudeBits-1:0]};
  end

endmodule
