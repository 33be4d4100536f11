// The crossing between any two clocks: in each step of time each of them may rise, fall, or stay.
//
// The parameters change whenever there is no request, and the network answers with what it sees of them.
module check_crossing (
  input logic       clk_i,
  input logic       net_clk_i,
  input logic       asks,
  input logic       gives_up,
  input logic [1:0] anything,
  input logic       net_ack,
  input logic [1:0] net_anything
);

  logic       begun;
  logic       req, ack, net_req;
  logic [1:0] parameters, cost, net_cost;

  mgd_crossing #(
    .WCost(2)
  ) dut (
    .clk_i     (clk_i),
    .rst_ni    (begun),
    .req_i     (req),
    .ack_o     (ack),
    .cost_o    (cost),
    .net_clk_i (net_clk_i),
    .net_rst_ni(begun),
    .net_req_o (net_req),
    .net_ack_i (net_ack),
    .net_cost_i(net_cost)
  );

  (* gclk *) logic step;
  initial begun = 1'b0;
  always @(posedge step) begun <= 1'b1;

  assign net_cost = net_req ? ~parameters : net_anything;

  initial req = 1'b0;
  always @(posedge clk_i) begin
    if (begun) begin
      if (req) req <= !ack && !gives_up;
      else req <= asks;
      if (!req) parameters <= anything;
    end
  end

  // That at its last clock the network had a request, and has not answered it.
  logic asked_q;
  initial asked_q = 1'b0;
  always @(posedge net_clk_i) asked_q <= begun && net_req && !net_ack;

  always_comb begin
    if (begun) begin
      if (ack) assert (req && cost == ~parameters);
      if (asked_q) assert (net_req);
    end
  end

endmodule
