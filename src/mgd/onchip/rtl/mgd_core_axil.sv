// The training circuit with a host's bus: `mgd_core`, whose control, settings and parameters are the registers of
// `mgd_axil`. The network's side is that of `mgd_core`.
//
// `hold_i` stops before the next measurement, for as long as there is no sample to measure, or for any other reason; it
// changes no bit of what follows.
module mgd_core_axil #(
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
  input  logic                    clk_i,
  input  logic                    rst_ni,
  // the bus
  input  logic [4:0]              s_axil_awaddr,
  input  logic [2:0]              s_axil_awprot,
  input  logic                    s_axil_awvalid,
  output logic                    s_axil_awready,
  input  logic [31:0]             s_axil_wdata,
  input  logic [3:0]              s_axil_wstrb,
  input  logic                    s_axil_wvalid,
  output logic                    s_axil_wready,
  output logic [1:0]              s_axil_bresp,
  output logic                    s_axil_bvalid,
  input  logic                    s_axil_bready,
  input  logic [4:0]              s_axil_araddr,
  input  logic [2:0]              s_axil_arprot,
  input  logic                    s_axil_arvalid,
  output logic                    s_axil_arready,
  output logic [31:0]             s_axil_rdata,
  output logic [1:0]              s_axil_rresp,
  output logic                    s_axil_rvalid,
  input  logic                    s_axil_rready,
  // the samples
  output logic                    next_sample_o,
  input  logic                    hold_i,
  // the network
  output logic                    req_o,
  input  logic                    ack_i,
  input  logic [WCost-1:0]        cost_i,
  input  logic [WRow-1:0]         row_i,
  output logic [Lanes*WDrive-1:0] drive_o,
  output logic [Lanes-1:0]        perturb_o,
  output logic [Lanes-1:0]        sign_o
);

  logic                     restart, run, learn, freeze, busy, scan, scan_load;
  logic [WCode-1:0]         seed;
  logic [WTau-1:0]          tau_p, tau_x, tau_theta;
  logic [31:0]              step;
  logic [2:0]               sticky, sticky_clear;
  logic signed [WTheta-1:0] to_core, from_core;

  mgd_axil #(
    .Parameters(Parameters),
    .WCode     (WCode),
    .WTheta    (WTheta),
    .WTau      (WTau)
  ) u_axil (
    .clk_i         (clk_i),
    .rst_ni        (rst_ni),
    .s_axil_awaddr (s_axil_awaddr),
    .s_axil_awprot (s_axil_awprot),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_awready(s_axil_awready),
    .s_axil_wdata  (s_axil_wdata),
    .s_axil_wstrb  (s_axil_wstrb),
    .s_axil_wvalid (s_axil_wvalid),
    .s_axil_wready (s_axil_wready),
    .s_axil_bresp  (s_axil_bresp),
    .s_axil_bvalid (s_axil_bvalid),
    .s_axil_bready (s_axil_bready),
    .s_axil_araddr (s_axil_araddr),
    .s_axil_arprot (s_axil_arprot),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_arready(s_axil_arready),
    .s_axil_rdata  (s_axil_rdata),
    .s_axil_rresp  (s_axil_rresp),
    .s_axil_rvalid (s_axil_rvalid),
    .s_axil_rready (s_axil_rready),
    .restart_o     (restart),
    .seed_o        (seed),
    .run_o         (run),
    .learn_o       (learn),
    .freeze_o      (freeze),
    .tau_p_o       (tau_p),
    .tau_x_o       (tau_x),
    .tau_theta_o   (tau_theta),
    .busy_i        (busy),
    .step_i        (step),
    .sticky_i      (sticky),
    .sticky_clear_o(sticky_clear),
    .scan_o        (scan),
    .scan_load_o   (scan_load),
    .scan_theta_o  (to_core),
    .scan_theta_i  (from_core)
  );

  mgd_core #(
    .Parameters   (Parameters),
    .Lanes        (Lanes),
    .Code         (Code),
    .WCode        (WCode),
    .Leap         (Leap),
    .Taps         (Taps),
    .Groups       (Groups),
    .GroupBits    (GroupBits),
    .TwoSided     (TwoSided),
    .Merged       (Merged),
    .ArrayPerturbs(ArrayPerturbs),
    .WTheta       (WTheta),
    .AmplitudeBits(AmplitudeBits),
    .Shift        (Shift),
    .WKept        (WKept),
    .WMod         (WMod),
    .WSum         (WSum),
    .WCost        (WCost),
    .WTau         (WTau),
    .Delay        (Delay)
  ) u_core (
    .clk_i         (clk_i),
    .rst_ni        (rst_ni),
    .restart_i     (restart),
    .seed_i        (seed),
    .run_i         (run),
    .learn_i       (learn),
    .freeze_i      (freeze | hold_i),
    .tau_p_i       (tau_p),
    .tau_x_i       (tau_x),
    .tau_theta_i   (tau_theta),
    .busy_o        (busy),
    .step_o        (step),
    .sticky_o      (sticky),
    .sticky_clear_i(sticky_clear),
    .scan_i        (scan),
    .scan_load_i   (scan_load),
    .scan_theta_i  (to_core),
    .scan_theta_o  (from_core),
    .next_sample_o (next_sample_o),
    .req_o         (req_o),
    .ack_i         (ack_i),
    .cost_i        (cost_i),
    .row_i         (row_i),
    .drive_o       (drive_o),
    .perturb_o     (perturb_o),
    .sign_o        (sign_o)
  );

endmodule
