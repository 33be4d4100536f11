// A network of logistic neurons with registers after each layer, and the cost of its outputs. `Layers` has 16 bits for
// the neurons of each layer, inputs first, in its lowest bits. The cost is there, with `ack_o`, a clock for each layer
// and one more after the request.
module mgd_mlp #(
  parameter int NLayers = 2,  // without the inputs
  parameter logic [16*(NLayers+1)-1:0] Layers = {16'd1, 16'd2, 16'd2},
  parameter int WDrive = 9,
  parameter int ThetaFraction = 4,
  parameter int WAct = 6,
  parameter int WCost = 8,
  parameter int CostFraction = 8,
  parameter int Parameters = 9,
  localparam int Inputs = 32'(Layers[15:0]),
  localparam int Outputs = 32'(Layers[16*NLayers +: 16])
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic [Inputs*WAct-1:0]       x_i,
  input  logic [Outputs*WAct-1:0]      target_i,
  input  logic [Parameters*WDrive-1:0] drive_i,
  input  logic                         req_i,
  output logic                         ack_o,
  output logic [WCost-1:0]             cost_o,
  output logic [Outputs*WAct-1:0]      y_o
);

  // Where the activations of a layer begin among those of all, and its parameters among all.
  function automatic int first_neuron(input int layer);
    first_neuron = 0;
    for (int k = 0; k < layer; k++) first_neuron = first_neuron + 32'(Layers[16*k +: 16]);
  endfunction

  function automatic int first_parameter(input int layer);
    first_parameter = 0;
    for (int k = 1; k < layer; k++) begin
      first_parameter = first_parameter + (32'(Layers[16*(k-1) +: 16]) + 1) * 32'(Layers[16*k +: 16]);
    end
  endfunction

  localparam int All = first_neuron(NLayers + 1);
  localparam int WStage = $clog2(NLayers + 2);

  logic [All*WAct-1:0] activations;
  logic [WStage-1:0]   stage_q;
  logic [WCost-1:0]    cost;

  assign activations[Inputs*WAct-1:0] = x_i;

  for (genvar l = 1; l <= NLayers; l++) begin : gen_layer
    localparam int From = 32'(Layers[16*(l-1) +: 16]);
    localparam int To = 32'(Layers[16*l +: 16]);
    localparam int Before = first_neuron(l - 1);
    localparam int Own = first_neuron(l);
    localparam int First = first_parameter(l);
    mgd_layer #(
      .Inputs       (From),
      .Neurons      (To),
      .WDrive       (WDrive),
      .ThetaFraction(ThetaFraction),
      .WAct         (WAct)
    ) u_layer (
      .clk_i  (clk_i),
      .x_i    (activations[Before*WAct +: From*WAct]),
      .drive_i(drive_i[First*WDrive +: (From+1)*To*WDrive]),
      .y_o    (activations[Own*WAct +: To*WAct])
    );
  end

  assign y_o = activations[(All-Outputs)*WAct +: Outputs*WAct];

  mgd_squares #(
    .Outputs     (Outputs),
    .WAct        (WAct),
    .WCost       (WCost),
    .CostFraction(CostFraction)
  ) u_squares (
    .y_i     (y_o),
    .target_i(target_i),
    .cost_o  (cost)
  );

  // Inputs and parameters stay as they are during a request, so its clocks are counted.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      stage_q <= '0;
    end else begin
      stage_q <= (req_i && !ack_o) ? stage_q + WStage'(1) : '0;
    end
  end

  always_ff @(posedge clk_i) cost_o <= cost;

  assign ack_o = req_i && stage_q == WStage'(NLayers + 1);

endmodule
