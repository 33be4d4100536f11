// A Verilated network as a library: answers in batches, so that a call from Python costs nothing beside them.
#include <cstdint>
#include <cstring>

#include "Vmgd_array.h"
#include "verilated.h"

struct Array {
  VerilatedContext context;
  Vmgd_array circuit{&context};
};

static void clock(Vmgd_array& circuit) {
  circuit.clk_i = 1;
  circuit.eval();
  circuit.clk_i = 0;
  circuit.eval();
}

extern "C" {

Array* mgd_array_new() {
  Array* array = new Array;
  array->circuit.clk_i = 0;
  array->circuit.rst_ni = 0;
  array->circuit.req_i = 0;
  array->circuit.eval();
  clock(array->circuit);
  array->circuit.rst_ni = 1;
  array->circuit.eval();
  return array;
}

void mgd_array_free(Array* array) { delete array; }

// Costs and outputs of each sample for each row of parameters; false if a request is not acknowledged in time.
bool mgd_array_answers(Array* array, const int32_t* rows, const uint32_t* x, const uint32_t* target, uint64_t n_rows,
                       uint64_t batch, uint32_t* costs, uint32_t* y, uint64_t most) {
  Vmgd_array& circuit = array->circuit;
  const size_t row = sizeof circuit.drive_i, input = sizeof circuit.x_i, output = sizeof circuit.target_i;
  for (uint64_t k = 0; k < n_rows; k++) {
    std::memcpy(&circuit.drive_i, reinterpret_cast<const char*>(rows) + k * row, row);
    for (uint64_t sample = 0; sample < batch; sample++) {
      std::memcpy(&circuit.x_i, reinterpret_cast<const char*>(x) + sample * input, input);
      std::memcpy(&circuit.target_i, reinterpret_cast<const char*>(target) + sample * output, output);
      circuit.req_i = 1;
      circuit.eval();
      for (uint64_t clocks = 0; !circuit.ack_o; clocks++) {
        if (clocks == most) return false;
        clock(circuit);
      }
      *costs++ = circuit.cost_o;
      std::memcpy(reinterpret_cast<char*>(y), &circuit.y_o, output);
      y += output / sizeof *y;
      // The clock in which the answer is taken; then the network is idle.
      clock(circuit);
      circuit.req_i = 0;
      circuit.eval();
      clock(circuit);
    }
  }
  return true;
}
}
