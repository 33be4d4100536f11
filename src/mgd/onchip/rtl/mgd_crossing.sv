// A request to a network with a clock of its own, and its cost back: a handshake of four phases.
//
// Towards the core, and towards the network, requests are as between `mgd_core` and a network that share a clock:
// `net_req_o` is high until `net_ack_i`, with which the cost is taken. Parameters and sample are not synchronised: they
// stay as they are from before the request is seen until the cost has come back. So the core has a synapse for each
// parameter, because rows of a memory are read with its clock.
//
// A request of the core that ends early, because of a restart, goes on here until the network has answered, and its
// answer is dropped. Both sides are reset together; each leaves reset with its own clock.
module mgd_crossing #(
  parameter int WCost = 8
) (
  // the core
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             req_i,
  output logic             ack_o,
  output logic [WCost-1:0] cost_o,
  // the network
  input  logic             net_clk_i,
  input  logic             net_rst_ni,
  output logic             net_req_o,
  input  logic             net_ack_i,
  input  logic [WCost-1:0] net_cost_i
);

  // What crosses: `ask_q` until `done_q`, which stays until `ask_q` has gone.
  logic             ask_q, stale_q, done;
  logic             done_q, ask;
  logic [WCost-1:0] cost_q;

  mgd_synchroniser u_done (
    .clk_i (clk_i),
    .rst_ni(rst_ni),
    .bit_i (done_q),
    .bit_o (done)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      ask_q <= 1'b0;
      stale_q <= 1'b0;
    end else if (ask_q) begin
      if (done) ask_q <= 1'b0;
      stale_q <= ~done & (stale_q | ~req_i);
    end else if (req_i && !done) begin
      ask_q <= 1'b1;
    end
  end

  assign ack_o = ask_q & done & ~stale_q & req_i;
  assign cost_o = cost_q;

  mgd_synchroniser u_ask (
    .clk_i (net_clk_i),
    .rst_ni(net_rst_ni),
    .bit_i (ask_q),
    .bit_o (ask)
  );

  always_ff @(posedge net_clk_i or negedge net_rst_ni) begin
    if (!net_rst_ni) begin
      done_q <= 1'b0;
      cost_q <= '0;
    end else if (!ask) begin
      done_q <= 1'b0;
    end else if (net_req_o && net_ack_i) begin
      done_q <= 1'b1;
      cost_q <= net_cost_i;
    end
  end

  assign net_req_o = ask & ~done_q;

endmodule
