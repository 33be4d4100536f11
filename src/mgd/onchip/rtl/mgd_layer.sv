// A layer of logistic neurons, all at once. The parameters of a neuron are the weights of its inputs and its bias.
module mgd_layer #(
  parameter int Inputs = 2,
  parameter int Neurons = 2,
  parameter int WDrive = 9,
  parameter int ThetaFraction = 4,
  parameter int WAct = 6
) (
  input  logic                                  clk_i,
  input  logic [Inputs*WAct-1:0]                x_i,
  input  logic [(Inputs+1)*Neurons*WDrive-1:0]  drive_i,
  output logic [Neurons*WAct-1:0]               y_o
);

  localparam int WSum = WDrive + WAct + $clog2(Inputs + 2);

  for (genvar n = 0; n < Neurons; n++) begin : gen_neuron
    logic [(Inputs+1)*WDrive-1:0] drive;
    logic signed [WSum-1:0]       sum;
    logic [WAct-1:0]              y;
    assign drive = drive_i[n*(Inputs+1)*WDrive +: (Inputs+1)*WDrive];
    always_comb begin
      sum = WSum'($signed(drive[Inputs*WDrive +: WDrive])) <<< WAct;
      for (int k = 0; k < Inputs; k++) begin
        sum = sum + WSum'($signed(drive[k*WDrive +: WDrive])) * $signed(WSum'(x_i[k*WAct +: WAct]));
      end
    end
    mgd_logistic #(
      .WIn (WSum),
      .Drop(ThetaFraction),
      .WAct(WAct)
    ) u_logistic (
      .z_i(sum),
      .y_o(y)
    );
    always_ff @(posedge clk_i) y_o[n*WAct +: WAct] <= y;
  end

endmodule
