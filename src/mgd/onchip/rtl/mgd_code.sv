// The state of the code from which all signs are made: a shift register, a counter, or a token.
//
// Code 0: a shift register with the feedback taps `Taps`, which moves on by `Leap` stages a step; bit 0
//         is shifted in last. A seed of zero would stay zero for ever, and is taken as one.
// Code 1: a counter, whose parities are Walsh functions. It starts at zero.
// Code 2: the number of the one parameter that is perturbed. It starts at zero.
module mgd_code #(
  parameter int Code = 0,
  parameter int Parameters = 9,
  parameter int WCode = 32,
  parameter int Leap = 19,
  parameter logic [31:0] Taps = 32'hE0000200
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic             restart_i,
  input  logic [WCode-1:0] seed_i,
  input  logic             step_i,
  output logic [WCode-1:0] state_o
);

  logic [WCode-1:0] state_q, first, next;

  function automatic logic [WCode-1:0] leaped(input logic [WCode-1:0] state);
    leaped = state;
    for (int t = 0; t < Leap; t++) leaped = {leaped[WCode-2:0], ^(leaped & Taps[WCode-1:0])};
  endfunction

  if (Code == 0) begin : gen_register
    assign next = leaped(state_q);
    assign first = (seed_i == '0) ? WCode'(1) : seed_i;
  end else begin : gen_counter
    logic unused;
    assign unused = ^{seed_i, Taps, Leap};
    assign next = (Code == 2 && state_q == WCode'(Parameters - 1)) ? '0 : state_q + WCode'(1);
    assign first = '0;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= (Code == 0) ? WCode'(1) : '0;
    end else if (restart_i) begin
      state_q <= first;
    end else if (step_i) begin
      state_q <= next;
    end
  end

  assign state_o = state_q;

endmodule
