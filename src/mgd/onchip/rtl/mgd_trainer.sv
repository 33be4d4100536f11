// A network that learns with no host: the training circuit, a network of logistic neurons, its cost, and the samples.
// With memories for parameters the network is serial, otherwise parallel.
module mgd_trainer #(
  parameter int NLayers = 2,  // without the inputs
  parameter logic [16*(NLayers+1)-1:0] Layers = {16'd1, 16'd2, 16'd2},
  parameter int Widest = 2,   // neurons of the widest layer, inputs included
  parameter int Samples = 4,
  parameter File = "samples.mem",
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
  parameter int ThetaFraction = 4,
  parameter int AmplitudeBits = 2,
  parameter int Shift = 6,
  parameter int WKept = 8,
  parameter int WMod = 6,
  parameter int WSum = 6,
  parameter int WCost = 8,
  parameter int CostFraction = 8,
  parameter int WAct = 6,
  parameter int WTau = 8,
  parameter int Delay = 0,
  localparam int Outputs = 32'(Layers[16*NLayers +: 16])
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
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
  output logic [2:0]               sticky_o,
  input  logic                     scan_i,
  input  logic                     scan_load_i,
  input  logic signed [WTheta-1:0] scan_theta_i,
  output logic signed [WTheta-1:0] scan_theta_o,
  output logic                     valid_o,  // outputs and cost of the sample are there
  output logic [Outputs*WAct-1:0]  y_o,
  output logic [WCost-1:0]         cost_o
);

  localparam int Inputs = 32'(Layers[15:0]);
  localparam int WSample = (Inputs + Outputs) * WAct;
  localparam int Depth = (Parameters + Lanes - 1) / Lanes;
  localparam int WRow = (Depth > 1) ? $clog2(Depth) : 1;
  localparam int WDrive = WTheta + 1;

  logic                    req, ack, next_sample;
  logic [WCost-1:0]        cost;
  logic [WRow-1:0]         row;
  logic [Lanes*WDrive-1:0] drive, weights;
  logic [Lanes-1:0]        perturb, sign;
  logic [WSample-1:0]      sample;

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
    .restart_i     (restart_i),
    .seed_i        (seed_i),
    .run_i         (run_i),
    .learn_i       (learn_i),
    .freeze_i      (freeze_i),
    .tau_p_i       (tau_p_i),
    .tau_x_i       (tau_x_i),
    .tau_theta_i   (tau_theta_i),
    .busy_o        (busy_o),
    .step_o        (step_o),
    .sticky_o      (sticky_o),
    .sticky_clear_i(3'b0),
    .scan_i        (scan_i),
    .scan_load_i   (scan_load_i),
    .scan_theta_i  (scan_theta_i),
    .scan_theta_o  (scan_theta_o),
    .next_sample_o (next_sample),
    .req_o         (req),
    .ack_i         (ack),
    .cost_i        (cost),
    .row_i         (row),
    .drive_o       (drive),
    .perturb_o     (perturb),
    .sign_o        (sign)
  );

  if (ArrayPerturbs != 0) begin : gen_array
    for (genvar l = 0; l < Lanes; l++) begin : gen_drive
      logic unused;
      mgd_drive #(
        .WTheta       (WTheta),
        .AmplitudeBits(AmplitudeBits)
      ) u_drive (
        .theta_i  (drive[l*WDrive +: WTheta]),
        .perturb_i(perturb[l]),
        .sign_i   (sign[l]),
        .drive_o  (weights[l*WDrive +: WDrive])
      );
      assign unused = drive[l*WDrive+WTheta];
    end
  end else begin : gen_weights
    logic unused;
    assign weights = drive;
    assign unused = ^{perturb, sign};
  end

  mgd_samples #(
    .Samples(Samples),
    .WSample(WSample),
    .File   (File)
  ) u_samples (
    .clk_i    (clk_i),
    .rst_ni   (rst_ni),
    .restart_i(restart_i),
    .next_i   (next_sample),
    .sample_o (sample)
  );

  if (Depth == 1) begin : gen_parallel
    logic unused;
    assign row = '0;
    assign unused = Widest == 0;
    mgd_mlp #(
      .NLayers      (NLayers),
      .Layers       (Layers),
      .WDrive       (WDrive),
      .ThetaFraction(ThetaFraction),
      .WAct         (WAct),
      .WCost        (WCost),
      .CostFraction (CostFraction),
      .Parameters   (Parameters)
    ) u_network (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .x_i     (sample[Inputs*WAct-1:0]),
      .target_i(sample[WSample-1:Inputs*WAct]),
      .drive_i (weights),
      .req_i   (req),
      .ack_o   (ack),
      .cost_o  (cost),
      .y_o     (y_o)
    );
  end else begin : gen_serial
    mgd_mlp_serial #(
      .NLayers      (NLayers),
      .Layers       (Layers),
      .Widest       (Widest),
      .WDrive       (WDrive),
      .ThetaFraction(ThetaFraction),
      .WAct         (WAct),
      .WCost        (WCost),
      .CostFraction (CostFraction),
      .Lanes        (Lanes),
      .WRow         (WRow)
    ) u_network (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .x_i     (sample[Inputs*WAct-1:0]),
      .target_i(sample[WSample-1:Inputs*WAct]),
      .row_o   (row),
      .drive_i (weights),
      .req_i   (req),
      .ack_o   (ack),
      .cost_o  (cost),
      .y_o     (y_o)
    );
  end

  assign valid_o = ack;
  assign cost_o = cost;

endmodule
