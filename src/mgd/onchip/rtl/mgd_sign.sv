// The sign of one parameter's perturbation: 1 is minus.
//
// Code 0: the parity of one tap in each of `Groups` groups of the register. Of the parameter's number, the lowest
//         bits say which tap of the first group, the next bits that of the second, and so on. `GroupBits` has four
//         bits a group: how many bits of the number these are. If the number is a constant, this is one exclusive-or.
// Code 1: the parity of the counter's bits that are set in 2 * number + 1.
// Code 2: always plus, and active only if the token is at this parameter.
module mgd_sign #(
  parameter int Code = 0,
  parameter int WCode = 32,
  parameter int WIndex = 16,
  parameter int Groups = 3,
  parameter logic [63:0] GroupBits = 64'h334
) (
  input  logic [WCode-1:0]  state_i,
  input  logic [WIndex-1:0] index_i,
  output logic              sign_o,
  output logic              active_o
);

  // The first bit of a number that selects the tap of group g, and the first stage of the group. (To Icarus 11 a
  // function that calls another is not constant.)
  function automatic int lowest_bit(input int g);
    lowest_bit = 0;
    for (int k = 0; k < g; k++) lowest_bit = lowest_bit + 32'(GroupBits[4*k +: 4]);
  endfunction

  function automatic int first_stage(input int g);
    first_stage = 0;
    for (int k = 0; k < g; k++) first_stage = first_stage + (1 << GroupBits[4*k +: 4]);
  endfunction

  if (Code == 0) begin : gen_taps
    logic [WIndex+15:0] index;  // with zeros in front, for groups that smaller circuits do not reach
    logic [Groups-1:0]  taps;
    logic               unused;
    assign index = {16'b0, index_i};
    for (genvar g = 0; g < Groups; g++) begin : gen_group
      // Constants, because Verilator calls a function in an expression at every evaluation.
      localparam int Bits = 32'(GroupBits[4*g +: 4]);
      localparam int Lowest = lowest_bit(g);
      localparam int First = first_stage(g);
      logic [2**Bits-1:0] group;
      assign group = state_i[First +: 2**Bits];
      assign taps[g] = group[index[Lowest +: Bits]];
    end
    assign sign_o = ^taps;
    assign active_o = 1'b1;
    assign unused = ^{index, state_i};
  end else if (Code == 1) begin : gen_walsh
    logic [WIndex:0] mask;
    logic            unused;
    assign mask = {index_i, 1'b1};
    assign sign_o = ^(state_i & mask[WCode-1:0]);
    assign active_o = 1'b1;
    assign unused = ^mask;
  end else begin : gen_token
    logic unused;
    assign sign_o = 1'b0;
    assign active_o = state_i == index_i[WCode-1:0];
    assign unused = ^index_i;
  end

endmodule
