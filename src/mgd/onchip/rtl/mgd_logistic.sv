// The logistic function in four straight pieces (Amin, Curtis and Hayes-Gill, IEE Proc. Circuits Devices Syst. 144,
// 313, 1997), whose slopes are shifts: 1/4 to |z| = 1, 1/8 to 2 5/16, 1/32 to 5, and then 1. The third piece begins at
// 2 5/16 in place of the paper's 2 3/8, where the function would fall by 1/256.
//
// z has WAct + Drop bits behind the point, of which the last `Drop` are not looked at; the result has WAct, all of them
// behind the point, so that 1 is written as 1 - 2^-WAct.
module mgd_logistic #(
  parameter int WIn = 18,
  parameter int Drop = 4,
  parameter int WAct = 6
) (
  input  logic signed [WIn-1:0]  z_i,
  output logic        [WAct-1:0] y_o
);

  // As wide as the breakpoints at least.
  localparam int WSize = ((WIn - Drop) > (WAct + 3)) ? WIn - Drop : WAct + 3;
  logic [WIn-1:0]   magnitude;
  logic [WSize-1:0] size, above;

  assign magnitude = (z_i < 0) ? -z_i : z_i;
  assign size = WSize'(magnitude >> Drop);

  always_comb begin
    if (size < WSize'(1 << WAct)) begin
      above = (size >> 2) + WSize'(1 << (WAct - 1));
    end else if (size < WSize'(37 << (WAct - 4))) begin
      above = (size >> 3) + WSize'(5 << (WAct - 3));
    end else if (size < WSize'(5 << WAct)) begin
      above = (size >> 5) + WSize'(27 << (WAct - 5));
    end else begin
      above = WSize'((1 << WAct) - 1);
    end
  end

  // 1 - y on the negative side. The upper bits of `above` are zero: it is below 1.
  assign y_o = (z_i < 0) ? ~above[WAct-1:0] : above[WAct-1:0];

  logic unused;
  assign unused = ^above;

endmodule
