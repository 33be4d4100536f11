// What one parameter does with the broadcast sum of C~: descent along its own sign. Purely combinational, so that
// a synapse with registers and a lane with memory learn by the same bits.
//
// Full:   kept <- kept -+ sum, and at the end of a window {theta, kept} <- {theta, 0} + kept. The bits that the
//         learning rate shifts out stay in `kept`, so nothing is rounded.
// Merged: {theta, kept} <- {theta, kept} -+ sum. `kept` is then the remainder alone.
module mgd_update #(
  parameter int Merged = 0,
  parameter int WTheta = 8,
  parameter int WKept = 13,
  parameter int Shift = 6,
  parameter int WSum = 6
) (
  input  logic signed [WTheta-1:0] theta_i,
  input  logic        [WKept-1:0]  kept_i,
  input  logic                     sign_i,
  input  logic                     active_i,
  input  logic signed [WSum-1:0]   sum_i,
  input  logic                     accumulate_i,
  input  logic                     update_i,
  output logic signed [WTheta-1:0] theta_o,
  output logic        [WKept-1:0]  kept_o,
  output logic                     overflow_o,
  output logic                     limit_o
);

  // -sum where the sign is plus: the complement, and a carry in.
  localparam int WAcc = (Merged != 0) ? WTheta + Shift : WKept;
  localparam int WAdd = ((WAcc > WSum) ? WAcc : WSum) + 1;
  logic                   minus, use_sum;
  logic signed [WAcc-1:0] acc, acc_next;
  logic signed [WSum-1:0] used;
  logic signed [WAdd-1:0] total;
  logic                   acc_limited;

  assign use_sum = accumulate_i & active_i;
  assign minus = use_sum & ~sign_i;
  assign used = use_sum ? sum_i : '0;
  assign total = WAdd'(acc) + (WAdd'(used) ^ {WAdd{minus}}) + $signed({{(WAdd - 1) {1'b0}}, minus});

  mgd_saturate #(
    .WIn (WAdd),
    .WOut(WAcc)
  ) u_saturate_acc (
    .value_i  (total),
    .value_o  (acc_next),
    .limited_o(acc_limited)
  );

  if (Merged != 0) begin : gen_merged
    logic unused;
    assign acc = {theta_i, kept_i};
    assign theta_o = acc_next[Shift +: WTheta];
    assign kept_o = acc_next[Shift-1:0];
    assign overflow_o = 1'b0;
    assign limit_o = acc_limited;
    assign unused = update_i;
  end else begin : gen_full
    localparam int WWord = WTheta + Shift;
    localparam int WMove = ((WWord > WKept) ? WWord : WKept) + 1;
    logic signed [WMove-1:0] moved;
    logic signed [WWord-1:0] word;
    logic                    word_limited;

    assign acc = kept_i;
    assign moved = (WMove'(theta_i) <<< Shift) + WMove'(acc_next);

    mgd_saturate #(
      .WIn (WMove),
      .WOut(WWord)
    ) u_saturate_theta (
      .value_i  (moved),
      .value_o  (word),
      .limited_o(word_limited)
    );

    assign theta_o = update_i ? word[Shift +: WTheta] : theta_i;
    assign kept_o = update_i ? WKept'(word[Shift-1:0]) : acc_next;
    assign overflow_o = acc_limited;
    assign limit_o = update_i & word_limited;
  end

endmodule
