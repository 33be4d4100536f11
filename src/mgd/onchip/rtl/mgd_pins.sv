// Pins for a network with one output that learns a truth table with no host: its samples are all words of its inputs, in
// turn, and `table_i` has the target of each. It stays while the circuit runs; the other pins may change at any time.
//
// `control_i`: run, learn, restart, next, load. While it does not run, `shown_o` is the present parameter, and each rise
// of next moves on to the next one; with load, the present one becomes what is on `table_i`. While it runs, `shown_o` is
// what the network has answered last to each word, and `correct_o` says whether that is the table.
module mgd_pins #(
  parameter int Inputs = 2,  // up to 3
  parameter int WAct = 6,
  parameter int WTheta = 8,  // up to 8
  localparam int Rows = 2 ** Inputs
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  // pins
  input  logic [7:0]               table_i,
  input  logic [4:0]               control_i,
  output logic [7:0]               shown_o,
  output logic                     correct_o,
  // the core
  output logic                     run_o,
  output logic                     learn_o,
  output logic                     restart_o,
  output logic                     scan_o,
  output logic                     scan_load_o,
  output logic signed [WTheta-1:0] scan_theta_o,
  input  logic signed [WTheta-1:0] scan_theta_i,
  input  logic                     next_sample_i,
  // the network
  output logic [Inputs*WAct-1:0]   x_o,
  output logic [WAct-1:0]          target_o,
  input  logic                     valid_i,
  input  logic [WAct-1:0]          y_i
);

  logic              next, next_q, unused;
  logic [Inputs-1:0] row_q;
  logic [Rows-1:0]   answers_q;

  for (genvar b = 0; b < 5; b++) begin : gen_control
    logic here;
    mgd_synchroniser u_synchroniser (
      .clk_i (clk_i),
      .rst_ni(rst_ni),
      .bit_i (control_i[b]),
      .bit_o (here)
    );
  end
  assign run_o = gen_control[0].here;
  assign learn_o = gen_control[1].here;
  assign restart_o = gen_control[2].here;
  assign next = gen_control[3].here;
  assign scan_load_o = gen_control[4].here;

  assign scan_o = next & ~next_q & ~run_o;
  assign scan_theta_o = table_i[WTheta-1:0];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      next_q <= 1'b0;
      row_q <= '0;
      answers_q <= '0;
    end else begin
      next_q <= next;
      if (restart_o) row_q <= '0;
      else if (next_sample_i) row_q <= row_q + Inputs'(1);
      if (valid_i) answers_q[row_q] <= y_i[WAct-1];
    end
  end

  for (genvar k = 0; k < Inputs; k++) begin : gen_input
    assign x_o[k*WAct +: WAct] = {WAct{row_q[k]}};
  end
  assign target_o = {WAct{table_i[3'(row_q)]}};
  assign shown_o = run_o ? 8'(answers_q) : 8'(scan_theta_i);
  assign correct_o = answers_q == table_i[Rows-1:0];
  assign unused = ^{table_i, y_i};

endmodule
