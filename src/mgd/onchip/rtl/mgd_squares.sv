// The cost of outputs: the sum of squares of their differences from the targets, cut to the cost's bits.
module mgd_squares #(
  parameter int Outputs = 1,
  parameter int WAct = 6,
  parameter int WCost = 8,
  parameter int CostFraction = 8
) (
  input  logic [Outputs*WAct-1:0] y_i,
  input  logic [Outputs*WAct-1:0] target_i,
  output logic [WCost-1:0]        cost_o
);

  // Squares have 2 WAct bits behind the point, of which the cost keeps `CostFraction`.
  localparam int Drop = 2 * WAct - CostFraction;
  localparam int WAll = 2 * WAct + $clog2(Outputs + 1);
  localparam int WFull = (WAll - Drop > WCost) ? WAll : WCost + Drop;
  localparam logic [WFull-1:0] Most = WFull'({WCost{1'b1}});

  logic [Outputs*WAct-1:0] sizes;
  logic [WFull-1:0]        sum, cut;

  for (genvar k = 0; k < Outputs; k++) begin : gen_size
    logic [WAct-1:0] y, target;
    assign y = y_i[k*WAct +: WAct];
    assign target = target_i[k*WAct +: WAct];
    assign sizes[k*WAct +: WAct] = (y > target) ? y - target : target - y;
  end

  always_comb begin
    sum = '0;
    for (int k = 0; k < Outputs; k++) begin
      sum = sum + WFull'(sizes[k*WAct +: WAct]) * WFull'(sizes[k*WAct +: WAct]);
    end
  end

  assign cut = sum >> Drop;
  assign cost_o = (cut > Most) ? '1 : cut[WCost-1:0];

endmodule
