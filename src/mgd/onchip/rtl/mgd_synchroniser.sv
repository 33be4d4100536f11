// One bit that comes from another clock, through two flip-flops. It comes from a flip-flop there, and stays until it has
// been seen. On a chip this module is the place for a cell that is made for it.
module mgd_synchroniser (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic bit_i,
  output logic bit_o
);

  (* ASYNC_REG = "TRUE" *) logic [1:0] stages_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) stages_q <= '0;
    else stages_q <= {stages_q[0], bit_i};
  end

  assign bit_o = stages_q[1];

endmodule
