// The samples, in a memory, in turn: each word has a sample's inputs, and above them its targets.
module mgd_samples #(
  parameter int Samples = 4,
  parameter int WSample = 18,
  parameter File = "samples.mem"
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               restart_i,
  input  logic               next_i,
  output logic [WSample-1:0] sample_o
);

  localparam int WAddress = (Samples > 1) ? $clog2(Samples) : 1;
  logic [WSample-1:0]  memory [Samples];
  logic [WAddress-1:0] address_q, address_d;

  initial $readmemh(File, memory);

  always_comb begin
    address_d = address_q;
    if (restart_i) address_d = '0;
    else if (next_i) address_d = (address_q == WAddress'(Samples - 1)) ? '0 : address_q + WAddress'(1);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) address_q <= '0;
    else address_q <= address_d;
  end

  // A memory's read has no reset; the sample is there one clock after reset or `next_i`.
  always_ff @(posedge clk_i) sample_o <= memory[address_d];

endmodule
