// A Verilated bench as a library: clocks in batches, so that a call from Python costs nothing beside them.
#include <cstdint>
#include <cstring>

#include "Vmgd_bench.h"
#include "verilated.h"

struct Bench {
  VerilatedContext context;
  Vmgd_bench circuit{&context};
};

static void clock(Vmgd_bench& circuit) {
  circuit.clk_i = 1;
  circuit.eval();
  circuit.clk_i = 0;
  circuit.eval();
}

extern "C" {

Bench* mgd_new() {
  Bench* bench = new Bench;
  bench->circuit.clk_i = 0;
  bench->circuit.rst_ni = 0;
  bench->circuit.sample_i = 0;
  std::memset(&bench->circuit.control_i, 0, sizeof bench->circuit.control_i);
  bench->circuit.eval();
  clock(bench->circuit);
  bench->circuit.rst_ni = 1;
  bench->circuit.eval();
  return bench;
}

void mgd_free(Bench* bench) { delete bench; }

void mgd_control(Bench* bench, const uint32_t* words) {
  std::memcpy(&bench->circuit.control_i, words, sizeof bench->circuit.control_i);
  bench->circuit.eval();
}

void mgd_registers(Bench* bench, uint32_t* words) {
  bench->circuit.sample_i = 1;
  bench->circuit.eval();
  bench->circuit.sample_i = 0;
  bench->circuit.eval();
  std::memcpy(words, &bench->circuit.registers_o, sizeof bench->circuit.registers_o);
}

void mgd_clocks(Bench* bench, uint64_t number) {
  for (uint64_t n = 0; n < number; n++) clock(bench->circuit);
}

// Clocks until the step is reached, and how many these were; fewer than `most`, unless it is not reached.
uint64_t mgd_until(Bench* bench, uint32_t step, uint64_t most) {
  uint64_t number = 0;
  while (number < most && bench->circuit.step_o != step) {
    clock(bench->circuit);
    number++;
  }
  return number;
}
}
