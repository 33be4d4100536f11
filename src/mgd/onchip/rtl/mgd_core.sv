// The training circuit of a network with `Parameters` parameters, of which only the cost is known.
//
// With as many lanes as parameters each has a synapse of its own, and `drive_o` has all of them at all times. With
// fewer, they are in memories: parameter i is in row i / Lanes of lane i % Lanes, and the network asks for a row with
// `row_i` and has it one clock later. Both learn by the same bits.
//
// While `req_o` is high the network measures its cost with the parameters in `drive_o`, and ends the request with
// `ack_i` and the cost, at the earliest in the same clock. If the array adds +-Delta itself, `drive_o` is theta, and
// `perturb_o` and `sign_o` say for each lane whether, and that Delta is to be subtracted.
//
// Load and read-out, while `busy_o` is low: each clock with `scan_i` moves on to the next parameter, from 0 to the last
// and to 0 again; `scan_theta_o` is the present one (with memories, one clock after), and `scan_load_i` replaces it.
// `restart_i` begins anew from a seed, also in the midst of a timestep: it clears counters, sums and the sticky bits, and
// leaves the parameters, and what they keep, as they are.
module mgd_core #(
  parameter int Parameters = 9,
  parameter int Lanes = 9,
  parameter int Code = 0,
  parameter int WCode = 32,
  parameter int Leap = 19,
  parameter logic [31:0] Taps = 32'hE0000200,
  parameter int Groups = 3,
  parameter logic [63:0] GroupBits = 64'h334,
  parameter int TwoSided = 0,
  parameter int Merged = 0,
  parameter int ArrayPerturbs = 0,
  parameter int WTheta = 8,
  parameter int AmplitudeBits = 2,
  parameter int Shift = 6,
  parameter int WKept = 8,
  parameter int WMod = 6,
  parameter int WSum = 6,
  parameter int WCost = 8,
  parameter int WTau = 8,
  parameter int Delay = 0,
  localparam int Depth = (Parameters + Lanes - 1) / Lanes,
  localparam int WRow = (Depth > 1) ? $clog2(Depth) : 1,
  localparam int WDrive = WTheta + 1
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  // control
  input  logic                     restart_i,
  input  logic [WCode-1:0]         seed_i,
  input  logic                     run_i,
  input  logic                     learn_i,
  input  logic                     freeze_i,
  input  logic [WTau-1:0]          tau_p_i,  // less one, as are the next two
  input  logic [WTau-1:0]          tau_x_i,
  input  logic [WTau-1:0]          tau_theta_i,
  output logic                     busy_o,
  output logic [31:0]              step_o,
  output logic [2:0]               sticky_o,  // theta at its limit, C~ clamped, a sum overflowed
  input  logic [2:0]               sticky_clear_i,
  // load and read-out
  input  logic                     scan_i,
  input  logic                     scan_load_i,
  input  logic signed [WTheta-1:0] scan_theta_i,
  output logic signed [WTheta-1:0] scan_theta_o,
  // the network
  output logic                     next_sample_o,
  output logic                     req_o,
  input  logic                     ack_i,
  input  logic [WCost-1:0]         cost_i,
  input  logic [WRow-1:0]          row_i,
  output logic [Lanes*WDrive-1:0]  drive_o,
  output logic [Lanes-1:0]         perturb_o,
  output logic [Lanes-1:0]         sign_o
);

  localparam int WIndex = 17;

  logic                    perturb, minus, take, second, sweep, apply, accumulate, update, clear;
  logic                    code_step, late_step;
  logic [WRow-1:0]         sweep_row, row;
  logic [WCode-1:0]        code, late, state;
  logic [WCost-1:0]        baseline;
  logic signed [WSum-1:0]  sum;
  logic                    clamped, sum_overflow;
  logic [Lanes-1:0]        signs, active, overflow, limit;
  logic [Lanes*WTheta-1:0] thetas;
  logic                    scan;

  mgd_sequencer #(
    .TwoSided(TwoSided),
    .Depth   (Depth),
    .WRow    (WRow),
    .WTau    (WTau),
    .Delay   (Delay)
  ) u_sequencer (
    .clk_i        (clk_i),
    .rst_ni       (rst_ni),
    .restart_i    (restart_i),
    .run_i        (run_i),
    .learn_i      (learn_i),
    .freeze_i     (freeze_i),
    .tau_p_i      (tau_p_i),
    .tau_x_i      (tau_x_i),
    .tau_theta_i  (tau_theta_i),
    .req_o        (req_o),
    .ack_i        (ack_i),
    .perturb_o    (perturb),
    .minus_o      (minus),
    .take_o       (take),
    .second_o     (second),
    .sweep_o      (sweep),
    .row_o        (sweep_row),
    .apply_o      (apply),
    .accumulate_o (accumulate),
    .update_o     (update),
    .clear_o      (clear),
    .code_step_o  (code_step),
    .late_step_o  (late_step),
    .next_sample_o(next_sample_o),
    .busy_o       (busy_o),
    .step_o       (step_o)
  );

  mgd_front_end #(
    .TwoSided(TwoSided),
    .WCost   (WCost),
    .WMod    (WMod),
    .WSum    (WSum)
  ) u_front_end (
    .clk_i     (clk_i),
    .rst_ni    (rst_ni),
    .restart_i (restart_i),
    .take_i    (take),
    .second_i  (second),
    .clear_i   (clear),
    .cost_i    (cost_i),
    .baseline_o(baseline),
    .sum_o     (sum),
    .clamped_o (clamped),
    .overflow_o(sum_overflow)
  );

  mgd_code #(
    .Code      (Code),
    .Parameters(Parameters),
    .WCode     (WCode),
    .Leap      (Leap),
    .Taps      (Taps)
  ) u_code (
    .clk_i    (clk_i),
    .rst_ni   (rst_ni),
    .restart_i(restart_i),
    .seed_i   (seed_i),
    .step_i   (code_step),
    .state_o  (code)
  );

  // The code once more, that many perturbations behind: the signs to which a late cost belongs.
  if (Delay == 0) begin : gen_in_time
    logic unused;
    assign late = code;
    assign unused = late_step;
  end else begin : gen_late
    mgd_code #(
      .Code      (Code),
      .Parameters(Parameters),
      .WCode     (WCode),
      .Leap      (Leap),
      .Taps      (Taps)
    ) u_code (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .restart_i(restart_i),
      .seed_i   (seed_i),
      .step_i   (late_step),
      .state_o  (late)
    );
  end

  assign state = sweep ? late : code;
  assign scan = scan_i & ~busy_o;

  for (genvar l = 0; l < Lanes; l++) begin : gen_sign
    logic [WIndex-1:0] index;
    assign index = (Depth == 1) ? WIndex'(l) : WIndex'(row) * WIndex'(Lanes) + WIndex'(l);
    mgd_sign #(
      .Code     (Code),
      .WCode    (WCode),
      .WIndex   (WIndex),
      .Groups   (Groups),
      .GroupBits(GroupBits)
    ) u_sign (
      .state_i (state),
      .index_i (index),
      .sign_o  (signs[l]),
      .active_o(active[l])
    );
    assign perturb_o[l] = perturb & active[l];
    assign sign_o[l] = signs[l] ^ minus;
    if (ArrayPerturbs != 0) begin : gen_array
      assign drive_o[l*WDrive +: WDrive] = WDrive'($signed(thetas[l*WTheta +: WTheta]));
    end else begin : gen_drive
      mgd_drive #(
        .WTheta       (WTheta),
        .AmplitudeBits(AmplitudeBits)
      ) u_drive (
        .theta_i  (thetas[l*WTheta +: WTheta]),
        .perturb_i(perturb_o[l]),
        .sign_i   (sign_o[l]),
        .drive_o  (drive_o[l*WDrive +: WDrive])
      );
    end
  end

  if (Depth == 1) begin : gen_synapses
    logic unused;
    assign unused = ^{row_i, sweep_row};
    assign row = '0;
    assign scan_theta_o = thetas[WTheta-1:0];
    for (genvar l = 0; l < Lanes; l++) begin : gen_synapse
      logic signed [WTheta-1:0] from;
      logic        [WKept-1:0]  kept;
      logic                     unused_kept;
      if (l == Lanes - 1) begin : gen_last
        assign from = scan_load_i ? scan_theta_i : thetas[WTheta-1:0];
      end else begin : gen_inner
        assign from = thetas[(l+1)*WTheta +: WTheta];
      end
      assign unused_kept = ^kept;
      mgd_synapse #(
        .Merged(Merged),
        .WTheta(WTheta),
        .WKept (WKept),
        .Shift (Shift),
        .WSum  (WSum)
      ) u_synapse (
        .clk_i       (clk_i),
        .rst_ni      (rst_ni),
        .sign_i      (signs[l]),
        .active_i    (active[l]),
        .sum_i       (sum),
        .accumulate_i(accumulate),
        .update_i    (update),
        .scan_i      (scan),
        .scan_load_i (scan_load_i),
        .scan_theta_i(from),
        .theta_o     (thetas[l*WTheta +: WTheta]),
        .kept_o      (kept),
        .overflow_o  (overflow[l]),
        .limit_o     (limit[l])
      );
    end
  end else begin : gen_lanes
    // The parameter that is loaded or read: its row, and its lane.
    localparam int WLane = (Lanes > 1) ? $clog2(Lanes) : 1;
    logic [WRow-1:0]  scan_row_q, read_row, row_q;
    logic [WLane-1:0] scan_lane_q;
    logic             last_lane, last;
    assign last_lane = scan_lane_q == WLane'(Lanes - 1);
    assign last = WIndex'(scan_row_q) * WIndex'(Lanes) + WIndex'(scan_lane_q) == WIndex'(Parameters - 1);
    assign read_row = sweep ? sweep_row : busy_o ? row_i : scan_row_q;
    assign row = row_q;
    assign scan_theta_o = thetas[scan_lane_q*WTheta +: WTheta];

    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        row_q <= '0;
        scan_row_q <= '0;
        scan_lane_q <= '0;
      end else begin
        row_q <= read_row;
        if (restart_i) begin
          scan_row_q <= '0;
          scan_lane_q <= '0;
        end else if (scan) begin
          scan_lane_q <= (last || last_lane) ? '0 : scan_lane_q + WLane'(1);
          if (last || last_lane) scan_row_q <= last ? '0 : scan_row_q + WRow'(1);
        end
      end
    end

    for (genvar l = 0; l < Lanes; l++) begin : gen_lane
      // Of the last row, not every lane has a parameter.
      logic present;
      assign present = WIndex'(row_q) * WIndex'(Lanes) + WIndex'(l) < WIndex'(Parameters);
      logic lane_overflow, lane_limit;
      mgd_lane #(
        .Merged(Merged),
        .WTheta(WTheta),
        .WKept (WKept),
        .Shift (Shift),
        .WSum  (WSum),
        .Depth (Depth),
        .WRow  (WRow)
      ) u_lane (
        .clk_i       (clk_i),
        .read_row_i  (read_row),
        .write_row_i (apply ? row_q : scan_row_q),
        .sign_i      (signs[l]),
        .active_i    (active[l]),
        .sum_i       (sum),
        .accumulate_i(accumulate),
        .update_i    (update),
        .load_i      (scan & scan_load_i & (scan_lane_q == WLane'(l))),
        .load_theta_i(scan_theta_i),
        .theta_o     (thetas[l*WTheta +: WTheta]),
        .overflow_o  (lane_overflow),
        .limit_o     (lane_limit)
      );
      assign overflow[l] = lane_overflow & present;
      assign limit[l] = lane_limit & present;
    end
  end

  logic [2:0] sticky_q;
  logic       unused_baseline;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      sticky_q <= '0;
    end else if (restart_i) begin
      sticky_q <= '0;
    end else begin
      // What comes in the clock of the clearing stays.
      sticky_q <= (sticky_q & ~sticky_clear_i) | {apply & (|limit), clamped, sum_overflow | (apply & (|overflow))};
    end
  end
  assign sticky_o = sticky_q;
  assign unused_baseline = ^baseline;

endmodule
