// A number in two's complement, limited to the range of fewer bits.
module mgd_saturate #(
  parameter int WIn = 10,
  parameter int WOut = 8
) (
  input  logic signed [WIn-1:0]  value_i,
  output logic signed [WOut-1:0] value_o,
  output logic                   limited_o
);

  // It fits if all bits from the sign of the result upwards are equal.
  assign limited_o = (value_i[WIn-1:WOut-1] != '0) && (value_i[WIn-1:WOut-1] != '1);
  assign value_o = limited_o ? {value_i[WIn-1], {(WOut - 1) {~value_i[WIn-1]}}} : value_i[WOut-1:0];

endmodule
