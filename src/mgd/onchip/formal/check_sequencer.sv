// The order of everything, beside counters of timesteps of its own, for any time constants and any network; restart,
// run, freeze and learn come at any time.
module check_sequencer #(
  parameter int TwoSided = 0,
  parameter int Depth = 3,
  parameter int WRow = 2,
  parameter int WTau = 2,
  parameter int Delay = 1
) (
  input logic            clk_i,
  input logic            rst_ni,
  input logic            restart_i,
  input logic            run_i,
  input logic            learn_i,
  input logic            freeze_i,
  input logic [WTau-1:0] tau_p_i,
  input logic [WTau-1:0] tau_x_i,
  input logic [WTau-1:0] tau_theta_i,
  input logic            ack_i
);

  logic            req, perturb, minus, take, second, sweep, apply, accumulate, update, clear;
  logic            code_step, late_step, next_sample, busy;
  logic [WRow-1:0] row;
  logic [31:0]     step;

  mgd_sequencer #(
    .TwoSided(TwoSided),
    .Depth   (Depth),
    .WRow    (WRow),
    .WTau    (WTau),
    .Delay   (Delay)
  ) dut (
    .clk_i        (clk_i),
    .rst_ni       (rst_ni),
    .restart_i    (restart_i),
    .run_i        (run_i),
    .learn_i      (learn_i),
    .freeze_i     (freeze_i),
    .tau_p_i      (tau_p_i),
    .tau_x_i      (tau_x_i),
    .tau_theta_i  (tau_theta_i),
    .req_o        (req),
    .ack_i        (ack_i),
    .perturb_o    (perturb),
    .minus_o      (minus),
    .take_o       (take),
    .second_o     (second),
    .sweep_o      (sweep),
    .row_o        (row),
    .apply_o      (apply),
    .accumulate_o (accumulate),
    .update_o     (update),
    .clear_o      (clear),
    .code_step_o  (code_step),
    .late_step_o  (late_step),
    .next_sample_o(next_sample),
    .busy_o       (busy),
    .step_o       (step)
  );

  logic begun;
  initial begun = 1'b0;
  always @(posedge clk_i) begun <= 1'b1;

  // The model: what has been since the restart, and in the present timestep.
  logic [WTau-1:0]   p_m, x_m, theta_m;    // timesteps of the perturbation, the sample and the window
  logic [5:0]        perturbations_m;
  logic [5:0]        step_m;
  logic              first_m, second_m;    // measurements of the present timestep
  logic              known_m;              // C0 is that of this sample and these parameters
  logic              learning_m;
  logic [WRow:0]     rows_m;               // rows that have been updated at the end of this timestep
  logic              busy_q, req_q, waits_q, taken_q, freeze_q, run_q, learn_q, restart_q, perturb_q, minus_q;
  logic [3*WTau-1:0] tau_q;

  assign p_ends = p_m == tau_p_i;
  assign x_ends = x_m == tau_x_i;
  assign ends = theta_m == tau_theta_i;

  always @(posedge clk_i) begin
    busy_q <= busy;
    req_q <= req;
    waits_q <= begun && !restart_i && req && !ack_i;
    taken_q <= begun && !restart_i && take;
    freeze_q <= freeze_i;
    run_q <= run_i;
    learn_q <= learn_i;
    restart_q <= !begun || restart_i;
    perturb_q <= perturb;
    minus_q <= minus;
    tau_q <= {tau_p_i, tau_x_i, tau_theta_i};
    if (!begun || restart_i) begin
      p_m <= '0;
      x_m <= '0;
      theta_m <= '0;
      perturbations_m <= '0;
      step_m <= '0;
      first_m <= 1'b0;
      second_m <= 1'b0;
      known_m <= 1'b0;
      rows_m <= '0;
    end else begin
      if (take && !(learning && second)) first_m <= 1'b1;
      if (take && learning && !second) known_m <= 1'b1;
      if (take && learning && second) second_m <= 1'b1;
      if (apply) rows_m <= rows_m + 1;
      if (finishes) begin
        p_m <= p_ends ? '0 : p_m + 1;
        x_m <= x_ends ? '0 : x_m + 1;
        theta_m <= ends ? '0 : theta_m + 1;
        if (p_ends && perturbations_m != 63) perturbations_m <= perturbations_m + 1;
        if (x_ends || ends || TwoSided != 0) known_m <= 1'b0;
        step_m <= step_m + 1;
      end
      if (finishes || infers) begin
        first_m <= 1'b0;
        second_m <= 1'b0;
        rows_m <= '0;
      end
      if (infers) known_m <= 1'b0;
    end
    if (begun && busy && !busy_q) learning_m <= learn_q;
  end

  // A timestep that learns ends in the clock after its second measurement, or after all rows are updated. One that
  // does not learn ends after its measurement.
  logic learning, finishes, infers, due;
  assign learning = (busy && !busy_q) ? learn_q : learning_m;
  assign due = p_ends || ends;
  assign finishes = busy && learning && second_m && rows_m == (due ? Depth : 0) && !apply && !sweep;
  assign infers = busy && !learning && first_m;

  always_comb begin
    assume (rst_ni == begun);
    // Time constants change between two runs.
    if (begun && !restart_q) assume ({tau_p_i, tau_x_i, tau_theta_i} == tau_q);
    if (begun) begin
      // A request stays as it is until its answer, which is followed by a clock without one.
      if (waits_q) assert (req && perturb == perturb_q && minus == minus_q);
      if (taken_q || restart_q) assert (!req);
      assert (take == (req && ack_i));
      // It begins only if it may.
      if (req && !req_q) assert (!freeze_q && (run_q || busy_q) && !restart_q);
      if (busy && !busy_q) assert (run_q && !freeze_q);
      if (req) assert (busy && !sweep && !apply);
      // With a perturbation or without, and which of a pair it is.
      if (req && !learning) assert (!perturb && !minus && !first_m);
      if (req && learning) begin
        assert (second == (TwoSided != 0 ? first_m : known_m));
        assert (perturb == (TwoSided != 0 || second));
        assert (minus == (TwoSided != 0 && second));
        assert (!second_m);
      end
      // Timesteps are counted, and nothing that is learnt moves on otherwise.
      assert (step[5:0] == step_m);
      assert (code_step == (finishes && p_ends));
      assert (late_step == (finishes && p_ends && perturbations_m >= Delay));
      assert (clear == (finishes && due));
      assert (next_sample == (finishes && x_ends || infers));
      // Each row is updated once, at the end of a perturbation or a window.
      if (apply) assert (learning && second_m && due && rows_m < Depth);
      assert (accumulate == (apply && perturbations_m >= Delay));
      assert (update == (apply && ends));
      if (Depth > 1 && sweep && !apply) assert (row == 0);
      if (Depth > 1 && apply && rows_m != Depth - 1) assert (row == rows_m + 1);
      if (!busy) assert (!req && !apply && !sweep && !code_step && !next_sample && !clear);
    end
  end

endmodule
