// The registers of a core, for a host with AXI4-Lite. Each is a word of 32 bits, read and written as a whole.
//
//   0x00 control    0 run, 1 learn, 2 freeze; writing 1 to bit 3 restarts, and it reads as 0
//   0x04 status     2:0 theta at its limit, C~ clamped, a sum overflowed: writing 1 clears the bit
//                   3 idle, 4 the next parameter in the window is the first: both only read
//   0x08 step       timesteps since the restart: only read
//   0x0c theta      the window: reading or writing it moves on to the next parameter, and after the last to the first
//   0x10 seed       of the signs, taken at a restart
//   0x14 tau_p, 0x18 tau_x, 0x1c tau_theta, each less one
//
// These are answered with SLVERR, and do nothing: a write of part of a word, or to `step`; theta, seed or tau while the
// core is not idle; run or restart while the window is not at the first parameter, because a core whose synapses form
// a chain would then run with its parameters displaced.
//
// One access at a time takes four clocks or more. No output depends on an input of the same clock, except for
// `sticky_clear_o`, which goes to three flip-flops.
module mgd_axil #(
  parameter int Parameters = 9,
  parameter int WCode = 32,
  parameter int WTheta = 8,
  parameter int WTau = 8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  // the bus
  input  logic [4:0]               s_axil_awaddr,
  input  logic [2:0]               s_axil_awprot,
  input  logic                     s_axil_awvalid,
  output logic                     s_axil_awready,
  input  logic [31:0]              s_axil_wdata,
  input  logic [3:0]               s_axil_wstrb,
  input  logic                     s_axil_wvalid,
  output logic                     s_axil_wready,
  output logic [1:0]               s_axil_bresp,
  output logic                     s_axil_bvalid,
  input  logic                     s_axil_bready,
  input  logic [4:0]               s_axil_araddr,
  input  logic [2:0]               s_axil_arprot,
  input  logic                     s_axil_arvalid,
  output logic                     s_axil_arready,
  output logic [31:0]              s_axil_rdata,
  output logic [1:0]               s_axil_rresp,
  output logic                     s_axil_rvalid,
  input  logic                     s_axil_rready,
  // the core
  output logic                     restart_o,
  output logic [WCode-1:0]         seed_o,
  output logic                     run_o,
  output logic                     learn_o,
  output logic                     freeze_o,
  output logic [WTau-1:0]          tau_p_o,
  output logic [WTau-1:0]          tau_x_o,
  output logic [WTau-1:0]          tau_theta_o,
  input  logic                     busy_i,
  input  logic [31:0]              step_i,
  input  logic [2:0]               sticky_i,
  output logic [2:0]               sticky_clear_o,
  output logic                     scan_o,
  output logic                     scan_load_o,
  output logic signed [WTheta-1:0] scan_theta_o,
  input  logic signed [WTheta-1:0] scan_theta_i
);

  localparam logic [2:0] Control = 3'd0;
  localparam logic [2:0] Status = 3'd1;
  localparam logic [2:0] Step = 3'd2;
  localparam logic [2:0] Theta = 3'd3;
  localparam logic [2:0] Seed = 3'd4;
  localparam logic [2:0] TauP = 3'd5;
  localparam logic [2:0] TauX = 3'd6;
  localparam logic [2:0] TauTheta = 3'd7;

  localparam logic [2:0] Wait = 3'd0;
  localparam logic [2:0] Write = 3'd1;
  localparam logic [2:0] Written = 3'd2;
  localparam logic [2:0] Read = 3'd3;
  localparam logic [2:0] Replied = 3'd4;

  localparam int WPlace = (Parameters > 1) ? $clog2(Parameters) : 1;

  logic [2:0]        state_q, state_d;
  logic              error_q, idle_q, restart_q, run_q, learn_q, freeze_q, scan_q, load_q;
  logic [WCode-1:0]  seed_q;
  logic [WTau-1:0]   tau_p_q, tau_x_q, tau_theta_q;
  logic [WPlace-1:0] place_q;
  logic [31:0]       data_q, data;
  logic [2:0]        written, read;
  logic              first, begins, refused, write, scan;
  logic              unused;

  assign written = s_axil_awaddr[4:2];
  assign read = s_axil_araddr[4:2];
  assign first = place_q == '0;
  assign begins = s_axil_wdata[0] | s_axil_wdata[3];

  // Whether the write that is there is answered with an error.
  always_comb begin
    case (written)
      Control: refused = begins & ~first;
      Status: refused = 1'b0;
      Step: refused = 1'b1;
      default: refused = ~idle_q;
    endcase
    if (s_axil_wstrb != 4'b1111) refused = 1'b1;
  end

  assign write = (state_q == Write) & ~refused;
  assign scan = ((state_q == Read) & (read == Theta) & idle_q) | (write & (written == Theta));

  always_comb begin
    state_d = state_q;
    case (state_q)
      Wait: begin
        if (s_axil_awvalid & s_axil_wvalid) state_d = Write;
        else if (s_axil_arvalid) state_d = Read;
      end
      Write: state_d = Written;
      Written: if (s_axil_bready) state_d = Wait;
      Read: state_d = Replied;
      default: if (s_axil_rready) state_d = Wait;
    endcase
  end

  always_comb begin
    case (read)
      Control: data = {29'b0, freeze_q, learn_q, run_q};
      Status: data = {27'b0, first, idle_q, sticky_i};
      Step: data = step_i;
      Theta: data = 32'(scan_theta_i);
      Seed: data = 32'(seed_q);
      TauP: data = 32'(tau_p_q);
      TauX: data = 32'(tau_x_q);
      default: data = 32'(tau_theta_q);
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= Wait;
      error_q <= 1'b0;
      idle_q <= 1'b0;
      restart_q <= 1'b0;
      run_q <= 1'b0;
      learn_q <= 1'b0;
      freeze_q <= 1'b0;
      seed_q <= '0;
      tau_p_q <= '0;
      tau_x_q <= '0;
      tau_theta_q <= '0;
      place_q <= '0;
      scan_q <= 1'b0;
      load_q <= 1'b0;
      data_q <= '0;
    end else begin
      state_q <= state_d;
      // A clock late: by then a core with memories has read the parameter that the window shows.
      idle_q <= ~run_q & ~busy_i;
      restart_q <= 1'b0;
      scan_q <= scan;
      load_q <= state_q == Write;
      if (state_q == Write) error_q <= refused;
      if (state_q == Read) error_q <= (read == Theta) & ~idle_q;
      // One register for what is read and for a parameter that is loaded.
      if (state_q == Read) data_q <= data;
      if (state_q == Write) data_q <= s_axil_wdata;
      if (scan) place_q <= (place_q == WPlace'(Parameters - 1)) ? '0 : place_q + WPlace'(1);
      if (write) begin
        case (written)
          Control: begin
            run_q <= s_axil_wdata[0];
            learn_q <= s_axil_wdata[1];
            freeze_q <= s_axil_wdata[2];
            restart_q <= s_axil_wdata[3];
          end
          Seed: seed_q <= s_axil_wdata[WCode-1:0];
          TauP: tau_p_q <= s_axil_wdata[WTau-1:0];
          TauX: tau_x_q <= s_axil_wdata[WTau-1:0];
          TauTheta: tau_theta_q <= s_axil_wdata[WTau-1:0];
          default: ;
        endcase
      end
    end
  end

  assign s_axil_awready = state_q == Write;
  assign s_axil_wready = state_q == Write;
  assign s_axil_bvalid = state_q == Written;
  assign s_axil_bresp = {error_q, 1'b0};
  assign s_axil_arready = state_q == Read;
  assign s_axil_rvalid = state_q == Replied;
  assign s_axil_rresp = {error_q, 1'b0};
  assign s_axil_rdata = data_q;

  assign restart_o = restart_q;
  assign seed_o = seed_q;
  assign run_o = run_q;
  assign learn_o = learn_q;
  assign freeze_o = freeze_q;
  assign tau_p_o = tau_p_q;
  assign tau_x_o = tau_x_q;
  assign tau_theta_o = tau_theta_q;
  assign sticky_clear_o = (write && written == Status) ? s_axil_wdata[2:0] : '0;
  assign scan_o = scan_q;
  assign scan_load_o = load_q;
  assign scan_theta_o = data_q[WTheta-1:0];
  assign unused = ^{s_axil_awaddr[1:0], s_axil_araddr[1:0], s_axil_awprot, s_axil_arprot};

endmodule
