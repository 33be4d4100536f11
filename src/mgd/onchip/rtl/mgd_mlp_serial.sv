// The same network with one multiplier: it asks for a parameter each clock, in their order.
//
// A parameter passes four stages, a clock each: it is read, multiplied, added, and after a bias the neuron's sum goes
// through the logistic function. So between two layers three clocks are waited.
module mgd_mlp_serial #(
  parameter int NLayers = 2,  // without the inputs
  parameter logic [16*(NLayers+1)-1:0] Layers = {16'd1, 16'd2, 16'd2},
  parameter int Widest = 2,       // neurons of the widest layer, inputs included
  parameter int WDrive = 9,
  parameter int ThetaFraction = 4,
  parameter int WAct = 6,
  parameter int WCost = 8,
  parameter int CostFraction = 8,
  parameter int Lanes = 1,        // parameters in a row, a power of two
  parameter int WRow = 4,
  localparam int Inputs = 32'(Layers[15:0]),
  localparam int Outputs = 32'(Layers[16*NLayers +: 16])
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic [Inputs*WAct-1:0]   x_i,
  input  logic [Outputs*WAct-1:0]  target_i,
  output logic [WRow-1:0]          row_o,
  input  logic [Lanes*WDrive-1:0]  drive_i,
  input  logic                     req_i,
  output logic                     ack_o,
  output logic [WCost-1:0]         cost_o,
  output logic [Outputs*WAct-1:0]  y_o
);

  localparam logic [16*NLayers-1:0] Following = Layers[16*NLayers+15:16];
  localparam int WLayer = $clog2(NLayers + 1);
  localparam int WNeuron = $clog2(Widest + 1);
  localparam int WLane = (Lanes > 1) ? $clog2(Lanes) : 1;
  localparam int WSum = WDrive + WAct + $clog2(Widest + 2);

  // What is read now: the parameter of an input (or after them the bias) of a neuron of a layer.
  logic [WLayer-1:0]  layer_q;
  logic [WNeuron-1:0] neuron_q, input_q, from, to;
  logic [WRow-1:0]    row_q;
  logic [WLane-1:0]   lane_q;
  logic               reading, is_bias, last_neuron, last_layer;
  logic [1:0]         wait_q;   // clocks still to wait for the layer before
  logic               done_q;

  // Stage 1: the parameter is there. Stage 2: its product. Stage 3: the sum of the neuron.
  logic               valid1_q, valid2_q, valid3_q, bias1_q, bias2_q, first1_q, first2_q;
  logic [WNeuron-1:0] input1_q, neuron1_q, neuron2_q, neuron3_q;
  logic [WLane-1:0]   lane1_q;
  logic signed [WSum-1:0] product_q, sum_q, weight, x;
  logic [WAct-1:0]    activation, y;
  // The activations of the layer before and of this one; of the last layer, the outputs.
  logic [Widest*WAct-1:0] before_q, now_q;

  assign from = WNeuron'(Layers[16*layer_q +: 16]);
  assign to = WNeuron'(Following[16*layer_q +: 16]);
  assign is_bias = input_q == from;
  assign last_neuron = neuron_q == to - WNeuron'(1);
  assign last_layer = layer_q == WLayer'(NLayers - 1);
  assign reading = req_i & ~done_q & (wait_q == 2'd0);
  assign row_o = row_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      layer_q <= '0;
      neuron_q <= '0;
      input_q <= '0;
      row_q <= '0;
      lane_q <= '0;
      wait_q <= '0;
      done_q <= 1'b0;
    end else if (!req_i || ack_o) begin
      layer_q <= '0;
      neuron_q <= '0;
      input_q <= '0;
      row_q <= '0;
      lane_q <= '0;
      wait_q <= '0;
      done_q <= 1'b0;
    end else if (reading) begin
      input_q <= is_bias ? '0 : input_q + WNeuron'(1);
      if (is_bias) neuron_q <= last_neuron ? '0 : neuron_q + WNeuron'(1);
      if (is_bias && last_neuron) begin
        wait_q <= 2'd3;
        done_q <= last_layer;
      end
      lane_q <= (Lanes == 1 || lane_q == WLane'(Lanes - 1)) ? '0 : lane_q + WLane'(1);
      if (Lanes == 1 || lane_q == WLane'(Lanes - 1)) row_q <= row_q + WRow'(1);
    end else if (wait_q != 2'd0) begin
      wait_q <= wait_q - 2'd1;
      if (wait_q == 2'd1 && !done_q) layer_q <= layer_q + WLayer'(1);
    end
  end

  // The sums need no reset: the first product of a neuron begins a new one.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
      valid3_q <= 1'b0;
    end else begin
      valid1_q <= reading;
      valid2_q <= valid1_q;
      valid3_q <= valid2_q & bias2_q;
    end
  end

  always_ff @(posedge clk_i) begin
    bias1_q <= is_bias;
    first1_q <= input_q == '0;
    input1_q <= input_q;
    neuron1_q <= neuron_q;
    lane1_q <= lane_q;
    bias2_q <= bias1_q;
    first2_q <= first1_q;
    neuron2_q <= neuron1_q;
    neuron3_q <= neuron2_q;
    product_q <= bias1_q ? weight << WAct : weight * x;
    if (valid2_q) sum_q <= first2_q ? product_q : sum_q + product_q;
  end

  assign weight = WSum'($signed(drive_i[lane1_q*WDrive +: WDrive]));
  assign activation = (layer_q == '0) ? x_i[input1_q*WAct +: WAct] : before_q[input1_q*WAct +: WAct];
  assign x = $signed(WSum'(activation));

  mgd_logistic #(
    .WIn (WSum),
    .Drop(ThetaFraction),
    .WAct(WAct)
  ) u_logistic (
    .z_i(sum_q),
    .y_o(y)
  );

  always_ff @(posedge clk_i) begin
    if (valid3_q) now_q[neuron3_q*WAct +: WAct] <= y;
    if (wait_q == 2'd1) before_q <= now_d;
  end

  // The last neuron's activation comes in the clock in which the layer ends.
  logic [Widest*WAct-1:0] now_d;
  always_comb begin
    now_d = now_q;
    if (valid3_q) now_d[neuron3_q*WAct +: WAct] = y;
  end

  assign y_o = now_q[Outputs*WAct-1:0];

  mgd_squares #(
    .Outputs     (Outputs),
    .WAct        (WAct),
    .WCost       (WCost),
    .CostFraction(CostFraction)
  ) u_squares (
    .y_i     (y_o),
    .target_i(target_i),
    .cost_o  (cost_o)
  );

  assign ack_o = req_i & done_q & (wait_q == 2'd0);

endmodule
