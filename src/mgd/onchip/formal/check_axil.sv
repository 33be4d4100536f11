// The registers beside a model of what each access does, for any host that keeps the rules of the bus, and any core
// that is busy only if it was told to run.
module check_axil #(
  parameter int Parameters = 3,
  parameter int WCode = 5,
  parameter int WTheta = 4,
  parameter int WTau = 3
) (
  input logic                     clk_i,
  input logic                     rst_ni,
  input logic [4:0]               awaddr,
  input logic                     awvalid,
  input logic [31:0]              wdata,
  input logic [3:0]               wstrb,
  input logic                     wvalid,
  input logic                     bready,
  input logic [4:0]               araddr,
  input logic                     arvalid,
  input logic                     rready,
  input logic                     busy,
  input logic [31:0]              step,
  input logic [2:0]               sticky,
  input logic signed [WTheta-1:0] theta
);

  logic                     awready, wready, bvalid, arready, rvalid;
  logic [1:0]               bresp, rresp;
  logic [31:0]              rdata;
  logic                     restart, run, learn, freeze, scan, scan_load;
  logic [WCode-1:0]         seed;
  logic [WTau-1:0]          tau_p, tau_x, tau_theta;
  logic [2:0]               sticky_clear;
  logic signed [WTheta-1:0] scan_theta;

  mgd_axil #(
    .Parameters(Parameters),
    .WCode     (WCode),
    .WTheta    (WTheta),
    .WTau      (WTau)
  ) dut (
    .clk_i         (clk_i),
    .rst_ni        (rst_ni),
    .s_axil_awaddr (awaddr),
    .s_axil_awprot (3'b0),
    .s_axil_awvalid(awvalid),
    .s_axil_awready(awready),
    .s_axil_wdata  (wdata),
    .s_axil_wstrb  (wstrb),
    .s_axil_wvalid (wvalid),
    .s_axil_wready (wready),
    .s_axil_bresp  (bresp),
    .s_axil_bvalid (bvalid),
    .s_axil_bready (bready),
    .s_axil_araddr (araddr),
    .s_axil_arprot (3'b0),
    .s_axil_arvalid(arvalid),
    .s_axil_arready(arready),
    .s_axil_rdata  (rdata),
    .s_axil_rresp  (rresp),
    .s_axil_rvalid (rvalid),
    .s_axil_rready (rready),
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
    .scan_theta_o  (scan_theta),
    .scan_theta_i  (theta)
  );

  logic begun;
  initial begun = 1'b0;
  always @(posedge clk_i) begun <= 1'b1;
  always_comb assume (rst_ni == begun);

  // The host: what is offered stays as it is until it is taken.
  logic        aw_waits, w_waits, ar_waits, may_run;
  logic [4:0]  awaddr_q, araddr_q;
  logic [35:0] w_q;
  always @(posedge clk_i) begin
    aw_waits <= begun && awvalid && !awready;
    w_waits <= begun && wvalid && !wready;
    ar_waits <= begun && arvalid && !arready;
    may_run <= begun && (busy || run);
    awaddr_q <= awaddr;
    araddr_q <= araddr;
    w_q <= {wdata, wstrb};
  end
  always_comb begin
    if (begun) begin
      if (aw_waits) assume (awvalid && awaddr == awaddr_q);
      if (w_waits) assume (wvalid && {wdata, wstrb} == w_q);
      if (ar_waits) assume (arvalid && araddr == araddr_q);
      if (busy) assume (may_run);
    end
  end

  // The model: registers as bits of one vector each, and the parameters as a place in the window.
  logic [2:0]        control_m;
  logic [WCode-1:0]  seed_m;
  logic [3*WTau-1:0] tau_m;
  logic [3:0]        place_m;
  logic              idle_m, restart_m, scan_m, load_m, write_error_m, read_error_m, write_open_m, read_open_m;
  logic [31:0]       read_m;
  logic [WTheta-1:0] load_theta_m;

  logic aw, ar, fine, scan_due;
  assign aw = awvalid & awready;
  assign ar = arvalid & arready;
  always_comb begin
    fine = wstrb == 4'hf;
    if (awaddr[4:2] == 0 && place_m != 0 && (wdata[0] || wdata[3])) fine = 1'b0;
    if (awaddr[4:2] == 2) fine = 1'b0;
    if (awaddr[4:2] > 2 && !idle_m) fine = 1'b0;
    scan_due = (aw && fine && awaddr[4:2] == 3) || (ar && idle_m && araddr[4:2] == 3);
  end

  always @(posedge clk_i) begin
    if (!begun) begin
      control_m <= '0;
      seed_m <= '0;
      tau_m <= '0;
      place_m <= '0;
      idle_m <= 1'b0;
      restart_m <= 1'b0;
      scan_m <= 1'b0;
      load_m <= 1'b0;
      write_open_m <= 1'b0;
      read_open_m <= 1'b0;
    end else begin
      idle_m <= !control_m[0] && !busy;
      restart_m <= aw && fine && awaddr[4:2] == 0 && wdata[3];
      if (aw && fine) begin
        if (awaddr[4:2] == 0) control_m <= wdata[2:0];
        if (awaddr[4:2] == 4) seed_m <= wdata[WCode-1:0];
        if (awaddr[4:2] == 5) tau_m[0 +: WTau] <= wdata[WTau-1:0];
        if (awaddr[4:2] == 6) tau_m[WTau +: WTau] <= wdata[WTau-1:0];
        if (awaddr[4:2] == 7) tau_m[2*WTau +: WTau] <= wdata[WTau-1:0];
      end
      scan_m <= scan_due;
      load_m <= aw;
      load_theta_m <= wdata[WTheta-1:0];
      if (scan_due) place_m <= (place_m + 1) % Parameters;
      if (aw) write_error_m <= !fine;
      if (ar) read_error_m <= araddr[4:2] == 3 && !idle_m;
      if (ar) begin
        case (araddr[4:2])
          0: read_m <= 32'(control_m);
          1: read_m <= {27'b0, place_m == 0, idle_m, sticky};
          2: read_m <= step;
          3: read_m <= {{(32 - WTheta) {theta[WTheta-1]}}, theta};
          4: read_m <= 32'(seed_m);
          5: read_m <= 32'(tau_m[0 +: WTau]);
          6: read_m <= 32'(tau_m[WTau +: WTau]);
          default: read_m <= 32'(tau_m[2*WTau +: WTau]);
        endcase
      end
      if (aw) write_open_m <= 1'b1;
      else if (bvalid && bready) write_open_m <= 1'b0;
      if (ar) read_open_m <= 1'b1;
      else if (rvalid && rready) read_open_m <= 1'b0;
    end
  end

  // Clocks for which an access has waited that nobody holds up.
  logic [3:0] waits_q;
  always @(posedge clk_i) begin
    if (!begun || aw || ar || (bvalid && !bready) || (rvalid && !rready)) waits_q <= '0;
    else if ((awvalid && wvalid) || arvalid) waits_q <= waits_q + 1;
  end

  always_comb begin
    if (begun) begin
      assert ({freeze, learn, run} == control_m);
      assert (seed == seed_m);
      assert ({tau_theta, tau_x, tau_p} == tau_m);
      assert (restart == restart_m);
      assert (scan == scan_m);
      if (scan_m) assert (scan_load == load_m);
      if (scan_m && load_m) assert (scan_theta == $signed(load_theta_m));
      // The core takes what is scanned, and its parameters are in their places whenever it runs.
      if (scan) assert (!run && !busy);
      if (run || restart) assert (place_m == 0);
      assert (sticky_clear == ((aw && fine && awaddr[4:2] == 1) ? wdata[2:0] : 3'b0));
      // Address and data are taken together; each access has one answer, which stays.
      assert (awready == wready);
      if (awready) assert (awvalid && wvalid);
      assert (bvalid == write_open_m);
      assert (rvalid == read_open_m);
      if (bvalid) assert (bresp == (write_error_m ? 2'b10 : 2'b00));
      if (rvalid) assert (rresp == (read_error_m ? 2'b10 : 2'b00));
      if (rvalid && !read_error_m) assert (rdata == read_m);
      assert (waits_q < 4);
    end
  end

endmodule
