# Everything a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast test-rest test-all test-field test-slow bench reproduction defaults docs lock lock-bench \
  lock-docs clean

# Train simulated chips to read the letters N, I, S and T, and draw how they learn.
demo: $(VENV)/run
	$(BIN)/mgd train nist7x7

# Quick of every part: nothing that compiles much, starts processes or waits.
FAST := $(addprefix tests/,algorithm/test_settings.py algorithm/test_compiled.py chips/test_costs.py \
  chips/imperfections/test_refusals.py cli/test_commands.py cli/test_time.py datasets/test_files.py \
  datasets/test_from_arrays.py datasets/test_load.py datasets/test_parity.py datasets/test_scaling.py \
  engines/test_start.py engines/test_train.py instruments/test_contract.py instruments/test_currents.py \
  instruments/test_kinds.py instruments/test_limits.py instruments/test_netlist.py instruments/test_opened.py \
  instruments/test_recording.py instruments/test_scpi_exchanges.py instruments/test_wire.py perturbations/test_lfsr.py \
  runs/test_journal.py runs/test_settings.py timing test_counter.py test_hash.py test_layers.py test_permutation.py \
  test_public_names.py test_quality.py) --deselect "tests/test_quality.py::test_nothing_to_mend[types]"
AS_SHIPPED := MGD_TESTS_COMPILE=as-shipped
# The others need not be read to find out.
ABOUT_BITS = $(shell grep -rl --include='test_*.py' 'mark.as_shipped' tests)
# Two workers take tests from one another, so that both end at the same time.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

# Lint, format, types, and every feature once.
test: $(VENV)/dev
	$(PYTEST)

# While editing: what is quick of every part, in under a minute.
test-fast: $(VENV)/dev
	$(PYTEST) $(FAST)

# What `make test` leaves: more cases of the same, and what is about bits once more, with machine code made as shipped.
test-rest: $(VENV)/dev
	$(PYTEST) -m "long and not as_shipped and not slow"
	$(AS_SHIPPED) $(PYTEST) -m "as_shipped and not slow" $(ABOUT_BITS)

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m "slow and not as_shipped"
	$(AS_SHIPPED) $(BIN)/python -m pytest -m "slow and as_shipped" $(ABOUT_BITS)

test-all: test test-rest test-slow

# Situations that people reported from the field, each with what is right.
test-field: $(VENV)/dev
	$(PYTEST) -m "not slow" tests/field

# Speed, as ratios to what this machine can do and to what others do: docs/benchmarks.md, in half an hour. Needs a C
# compiler with OpenMP, and installs the peers.
bench: $(VENV)/bench
	$(BIN)/python benchmarks/page.py

# Every published result, in full, and the page of them: some hours.
reproduction: $(VENV)/run
	for study in $$($(BIN)/mgd reproduce --list | cut -d' ' -f1); do $(BIN)/mgd reproduce $$study || exit 1; done
	$(BIN)/python benchmarks/reproduction.py

# What the defaults reach: about a quarter of an hour.
defaults: $(VENV)/run
	$(BIN)/python benchmarks/defaults.py

# The site, in site/: warnings, broken links and broken anchors are errors. `.ci/run` builds it by this target, and the
# tests of `make test-rest` read it.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# Newest versions that fit pyproject.toml.
lock: $(VENV)/dev
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate pyproject.toml --group dev -o requirements/dev.txt
	$(MAKE) lock-bench lock-docs

# The peers that benchmarks measure against, with all that the other two pin as it is. What only PyTorch with CUDA
# needs is left out: pip finds it itself where it installs that build.
lock-bench: $(VENV)/dev
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate -c requirements/dev.txt pyproject.toml --group bench -o requirements/bench.all
	grep -vE '^(cuda|nvidia|triton)' requirements/bench.all > requirements/bench.txt
	rm requirements/bench.all

# What builds the site, with all that the others pin as it is.
lock-docs: $(VENV)/dev
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate -c requirements/dev.txt pyproject.toml --group docs -o requirements/docs.txt

clean:
	rm -rf site $(VENV) .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mgd needs Python 3.11 or newer, found " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11 " )'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements/run.txt
	$(BIN)/python -m pip install -q --no-deps -e .
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/run
	$(BIN)/python -m pip install -q -r requirements/dev.txt
	@touch $@

# Every module is imported, so what is optional is needed too.
$(VENV)/docs: requirements/docs.txt $(VENV)/dev
	$(BIN)/python -m pip install -q -r requirements/docs.txt
	@touch $@

# A peer that cannot be installed is named as missing on the page; the benchmarks run without it.
$(VENV)/bench: requirements/bench.txt $(VENV)/dev
	$(BIN)/python -m pip install -q -r requirements/bench.txt || \
	  for peer in evosax nevergrad qiskit-algorithms torch; do \
	    $(BIN)/python -m pip install -q -c requirements/bench.txt $$peer || true; done
	@touch $@
