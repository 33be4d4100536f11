// The order of everything: measurements, updates, and when perturbation and sample change.
//
// A timestep is one or two measurements. Each is a request that stays until its cost comes back with `ack_i`, which may
// take any number of clocks. At the end of a perturbation or a window, all rows are updated (`apply_o`); then the
// counters of tau_p, tau_x and tau_theta move on. These are given less one, and may only change between two runs.
//
// `run_i` low stops after the timestep that has begun; `freeze_i` stops before the next measurement, also within a
// timestep. Neither changes a bit of what follows. Without `learn_i` a timestep is one measurement without
// perturbation, of each sample in turn; nothing is learnt, and no counter moves.
module mgd_sequencer #(
  parameter int TwoSided = 0,
  parameter int Depth = 1,
  parameter int WRow = 1,
  parameter int WTau = 8,
  parameter int Delay = 0
) (
  input  logic            clk_i,
  input  logic            rst_ni,
  input  logic            restart_i,
  input  logic            run_i,
  input  logic            learn_i,
  input  logic            freeze_i,
  input  logic [WTau-1:0] tau_p_i,
  input  logic [WTau-1:0] tau_x_i,
  input  logic [WTau-1:0] tau_theta_i,
  output logic            req_o,
  input  logic            ack_i,
  output logic            perturb_o,      // the measurement is with the perturbation,
  output logic            minus_o,        // with its sign reversed
  output logic            take_o,         // a cost is there,
  output logic            second_o,       // the second of its pair
  output logic            sweep_o,        // rows are read for an update
  output logic [WRow-1:0] row_o,
  output logic            apply_o,        // the row read before (or the only one) is updated
  output logic            accumulate_o,
  output logic            update_o,
  output logic            clear_o,        // the sum of C~ has been used
  output logic            code_step_o,
  output logic            late_step_o,    // the same, as many perturbations later as the cost is late
  output logic            next_sample_o,
  output logic            busy_o,
  output logic [31:0]     step_o
);

  localparam logic [2:0] Start = 3'd0;
  localparam logic [2:0] Request = 3'd1;
  localparam logic [2:0] Apply = 3'd2;
  localparam logic [2:0] Next = 3'd3;
  localparam logic [2:0] NextInferred = 3'd4;

  localparam int WDelay = $clog2(Delay + 2);

  logic [2:0]        state_q, state_d;
  logic              second_q, inside_q, learning_q, due_q;
  logic [WTau-1:0]   p_q, x_q, theta_q;
  logic              p_ends, x_ends, window_ends, sum_ends;
  logic [WDelay-1:0] late_q;
  logic              in_time, go, last_row;
  logic [31:0]       step_q;

  assign p_ends = p_q == tau_p_i;
  assign x_ends = x_q == tau_x_i;
  assign window_ends = theta_q == tau_theta_i;
  assign sum_ends = p_ends | window_ends;
  assign in_time = late_q == WDelay'(Delay);
  assign go = (run_i | inside_q) & ~freeze_i;

  // A timestep with a pair begins with its first measurement; one-sided, only where C0 is not known.
  logic first_due;
  assign first_due = (TwoSided != 0) ? 1'b1 : due_q;

  always_comb begin
    state_d = state_q;
    case (state_q)
      Start: if (go) state_d = Request;
      Request: begin
        if (ack_i) begin
          if (!learning_q) state_d = NextInferred;
          else if (!second_q) state_d = Start;
          else state_d = sum_ends ? Apply : Next;
        end
      end
      Apply: if (last_row) state_d = Next;
      default: state_d = Start;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Start;
      second_q <= 1'b0;
      inside_q <= 1'b0;
      learning_q <= 1'b0;
      due_q <= 1'b1;
      p_q <= '0;
      x_q <= '0;
      theta_q <= '0;
      late_q <= '0;
      step_q <= '0;
    end else if (restart_i) begin
      state_q <= Start;
      second_q <= 1'b0;
      inside_q <= 1'b0;
      learning_q <= 1'b0;
      due_q <= 1'b1;
      p_q <= '0;
      x_q <= '0;
      theta_q <= '0;
      late_q <= '0;
      step_q <= '0;
    end else begin
      state_q <= state_d;
      if (state_q == Start && go && !inside_q) begin
        inside_q <= 1'b1;
        learning_q <= learn_i;
        second_q <= learn_i & ~first_due;
      end
      if (take_o) second_q <= 1'b1;
      if (state_q == Next) begin
        inside_q <= 1'b0;
        due_q <= x_ends | window_ends;
        p_q <= p_ends ? '0 : p_q + WTau'(1);
        x_q <= x_ends ? '0 : x_q + WTau'(1);
        theta_q <= window_ends ? '0 : theta_q + WTau'(1);
        if (p_ends && !in_time) late_q <= late_q + WDelay'(1);
        step_q <= step_q + 32'd1;
      end
      if (state_q == NextInferred) begin
        inside_q <= 1'b0;
        due_q <= 1'b1;
      end
    end
  end

  if (Depth == 1) begin : gen_one_row
    assign row_o = '0;
    assign last_row = 1'b1;
    assign apply_o = state_q == Apply;
  end else begin : gen_rows
    logic [WRow-1:0] row_q;
    logic            read_q, done_q;  // a row has been read; the last one has
    assign row_o = row_q;
    assign last_row = done_q;
    assign apply_o = read_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        row_q <= '0;
        read_q <= 1'b0;
        done_q <= 1'b0;
      end else if (restart_i || state_q != Apply || done_q) begin
        row_q <= '0;
        read_q <= 1'b0;
        done_q <= 1'b0;
      end else begin
        row_q <= row_q + WRow'(1);
        read_q <= 1'b1;
        done_q <= row_q == WRow'(Depth - 1);
      end
    end
  end

  assign req_o = state_q == Request;
  assign perturb_o = learning_q & ((TwoSided != 0) | second_q);
  assign minus_o = (TwoSided != 0) & second_q;
  assign take_o = req_o & ack_i;
  assign second_o = second_q;
  assign sweep_o = state_q == Apply;
  assign accumulate_o = apply_o & in_time;
  assign update_o = apply_o & window_ends;
  assign clear_o = (state_q == Next) & sum_ends;
  assign code_step_o = (state_q == Next) & p_ends;
  assign late_step_o = code_step_o & in_time;
  assign next_sample_o = ((state_q == Next) & x_ends) | (state_q == NextInferred);
  assign busy_o = inside_q;
  assign step_o = step_q;

endmodule
