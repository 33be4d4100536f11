// Samples from an AXI-Stream: one is held while it is used, and meanwhile the next is received.
//
// A sample is a packet of `Beats` beats, the lowest bits first, as in a word of `mgd_samples`; bits above the sample are
// not looked at. A packet of any other length is dropped, and `dropped_o` pulses: so is what remains of one that a reset
// has cut. A stream has no beginning, so a core that restarts goes on with the sample that is held.
//
// `hold_o` is high while there is no sample: as `hold_i` of `mgd_core_axil`, or `freeze_i` of `mgd_core`, it makes the
// core wait.
module mgd_axis_samples #(
  parameter int WSample = 18,
  parameter int WData = 8,
  localparam int Beats = (WSample + WData - 1) / WData
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic [WData-1:0]   s_axis_tdata,
  input  logic               s_axis_tlast,
  input  logic               s_axis_tvalid,
  output logic               s_axis_tready,
  input  logic               next_i,  // what is held has been used
  output logic               hold_o,
  output logic               dropped_o,
  output logic [WSample-1:0] sample_o
);

  localparam int WBeat = $clog2(Beats + 1);
  localparam logic [WBeat-1:0] Last = WBeat'(Beats - 1);
  localparam logic [WBeat-1:0] TooMany = WBeat'(Beats);

  logic [Beats*WData-1:0] received_q, received;
  logic [WSample-1:0]     sample_q;
  logic [WBeat-1:0]       beat_q;
  logic                   full_q, held_q, dropped_q;
  logic                   beat, whole, move, unused;

  assign beat = s_axis_tvalid & s_axis_tready;
  assign whole = s_axis_tlast & (beat_q == Last);
  assign move = full_q & (next_i | ~held_q);

  if (Beats == 1) begin : gen_one
    assign received = s_axis_tdata;
  end else begin : gen_more
    assign received = {s_axis_tdata, received_q[Beats*WData-1:WData]};
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      received_q <= '0;
      sample_q <= '0;
      beat_q <= '0;
      full_q <= 1'b0;
      held_q <= 1'b0;
      dropped_q <= 1'b0;
    end else begin
      dropped_q <= beat & s_axis_tlast & ~whole;
      if (beat) begin
        received_q <= received;
        if (s_axis_tlast) beat_q <= '0;
        else if (beat_q != TooMany) beat_q <= beat_q + WBeat'(1);
      end
      if (move) sample_q <= received_q[WSample-1:0];
      if (move) full_q <= 1'b0;
      else if (beat && whole) full_q <= 1'b1;
      if (move) held_q <= 1'b1;
      else if (next_i) held_q <= 1'b0;
    end
  end

  assign s_axis_tready = ~full_q;
  assign hold_o = ~held_q;
  assign dropped_o = dropped_q;
  assign sample_o = sample_q;
  assign unused = ^received_q;

endmodule
