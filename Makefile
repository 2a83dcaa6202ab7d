# Spikeline: `make demo` runs the whole flow on MNIST, `make test` proves it. `make help` lists all targets.

PYTHON ?= python3
MODE ?= discontinuous
MODES := discontinuous continuous events convolution
PRESET ?= $(PRESET_$(MODE))
PRESET_discontinuous := mnist-dc-256
PRESET_continuous := mnist-cc-latency
PRESET_events := mnist-cc-events
PRESET_convolution := mnist-conv-fast
SIMULATORS := tiny z020-256
PYNQS := $(patsubst tests/support/pynq/%.txt,%,$(wildcard tests/support/pynq/*.txt))
OUT ?= $(OUT_$(MODE))
OUT_discontinuous := build/demo
OUT_continuous := build/demo-continuous
OUT_events := build/demo-events
OUT_convolution := build/demo-convolution
BOARD ?= pynq-z2
GEOMETRY_convolution := z020-conv
GEOMETRY ?= $(or $(GEOMETRY_$(MODE)),$(shell sed -n 's/^geometry = "\(.*\)"/\1/p' $(wildcard rtl/boards/$(BOARD).toml) </dev/null))
SAIF ?=
SECONDS ?= 600
COUNT ?= 10000
IMAGES ?= 1000000
SEED ?= 1
GPU ?=
ifneq ($(word 2,$(OUT)),)
$(error OUT=$(OUT): make takes no space in a target; name another folder. A space in the path of the checkout does no harm)
endif
# Paths are relative, for make splits at spaces, and the checkout may lie below one.
BIN := .venv/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check --no-compile -c requirements.lock
UV := UV_HTTP_RETRIES=1 $(BIN)/uv pip install -q --python $(BIN)/python -c requirements.lock
SPIKELINE := $(BIN)/spikeline
TESTS := PYTHONPATH=tests $(BIN)/python -m
PRESETS := training/spikeline_training/presets
MODELS := build/models
BENCH := $(foreach name,mnist-dc-threshold mnist-dc-256 mnist-dc-256-best width-64 width-128 mnist-dc-512 mnist-dc-1024 \
	mnist-cc-latency mnist-cc-events mnist-conv-fast,\
	$(MODELS)/$(name)/model.img) $(MODELS)/mnist-dc-256-best/early-exit.img
# What `make test` trains: the networks of the three modes, for a few epochs. That of the demo also comes trained.
TESTED := $(foreach name,mnist-cc-latency+epochs~3 mnist-cc-events+epochs~2 mnist-dc-256+epochs~6,$(MODELS)/$(name)/model.img)
SOAK := $(foreach name,mnist-dc-threshold mnist-dc-sparse mnist-dc-256,$(MODELS)/$(name)/model.img)
ENERGY := $(BENCH) $(foreach name,mnist-dc-sparse mnist-cc-sparse mnist-dc-threshold+activity~0.1 \
	mnist-dc-threshold+weight_bits~2+activity~0.05 mnist-dc-threshold+weight_bits~3+activity~0.05+epochs~120,\
	$(MODELS)/$(name)/model.img)
TRAINING := $(wildcard training/spikeline_training/*.py host/spikeline/data/*.py) $(addprefix host/spikeline/model/,encode.py golden.py)
COMPILER := $(wildcard firmware/spikeline_compiler/*.py) $(addprefix host/spikeline/model/,network.py model_file.py geometry.py spec.py)

.DELETE_ON_ERROR:
.PHONY: help setup data train export compile sim demo test lint gen gen-check area timing bench energy bit firmware fuzz clean \
	FORCE verify long cocotb formal front-door coverage mutate random peers stranger soak models $(MODES:%=compile-%) $(SIMULATORS:%=sim-%)

##@ Use

help: ## list the targets by group, each group in the order of the flow
	@awk -F ':.*## ' '/^##@ / { print substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables"
	@echo "  MODE=$(MODE) (or $(filter-out $(MODE),$(MODES)))"
	@echo "  PRESET=$(PRESET) GEOMETRY=$(GEOMETRY) OUT=$(OUT) BOARD=$(BOARD) SAIF=$(SAIF) SECONDS=$(SECONDS) COUNT=$(COUNT) IMAGES=$(IMAGES) SEED=$(SEED) PYTHON=$(PYTHON) GPU=$(GPU)"

setup: .venv/.ready ## make .venv with the pinned dependencies (GPU=1: with the CUDA build of torch)

data: setup ## fetch MNIST and check it
	$(SPIKELINE) data

train: $(OUT)/.trained ## train the preset with Brevitas

export: $(OUT)/model.onnx ## write QONNX and prove it against the trained network

compile: $(OUT)/model.img ## turn the ONNX into a model and prove it against the ONNX

sim: setup ## build the simulated accelerator (cached)
	$(SPIKELINE) sim --geometry $(GEOMETRY)

demo: $(OUT)/model.img ## the main job: classify all test images on the simulated accelerator (MODE: which network)
	$(SPIKELINE) report $(OUT)/model.img --geometry $(GEOMETRY) --out $(OUT)

##@ Check

test: models ## run the tests of all promises; trains what they need
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST)

verify: coverage long cocotb formal ## all tests, proofs, and how much they see: coverage, faults planted on purpose
	$(TESTS) campaigns.mutate --passed --out build/mutation.json

long: models $(MODES:%=compile-%) ## the tests that take minutes: fully trained networks, memories in synthesis, switching activity
	$(BIN)/pytest -n 2 --dist loadgroup -m long

cocotb: setup ## every module of the Verilog and the whole, in Icarus and Verilator, and its netlist, with AXI monitors
	$(BIN)/pytest -n 2 tests/rtl --ignore tests/rtl/test_prove.py

formal: setup ## prove properties of the Verilog with Yosys and Z3, and that a fault refutes each proof
	$(BIN)/python -m spikeline_rtl.formal.prove --out build/formal/report.json
	$(BIN)/pytest -n 2 tests/rtl/test_prove.py

coverage: models ## run all tests, count lines and branches of Python, lines and toggles of Verilog
	@rm -rf build/coverage && mkdir -p build/coverage/rtl
	PYTHONPATH=tests SPIKELINE_RTL_COVERAGE="$(CURDIR)/build/coverage/rtl" \
		$(BIN)/coverage run -m pytest -n 2 --dist loadgroup -p campaigns.coverage_report $(PYTEST)
	$(BIN)/coverage combine -q
	$(BIN)/coverage json -q -o build/coverage/lines.json
	$(BIN)/coverage report --skip-covered | tail -n 40
	$(TESTS) campaigns.coverage_report --out build/coverage

front-door: setup ## give damaged files of seventeen kinds to what reads them, 2,000 each
	$(TESTS) robustness.fuzz --kind all --count 2000 --out build/front-door/report.json

mutate: setup ## plant small faults in Verilog, compiler and golden model: the tests must see each
	$(TESTS) campaigns.mutate --out build/mutation.json

random: setup ## check COUNT random networks from ONNX to Verilog, from SEED on
	$(TESTS) campaigns.random_networks --count $(COUNT) --seed $(SEED) --out build/random-networks.json

peers: setup ## train with snnTorch, SpikingJelly and Norse, import through NIR, compare accuracies
	$(TESTS) campaigns.nir_peers --out build/nir.json

stranger: setup ## time a stranger's path: install the wheel, four commands from own pictures to labels
	$(TESTS) campaigns.stranger

soak: $(SOAK) ## classify IMAGES digits on the simulated accelerator under stalls, resets and reloads, from SEED on
	$(TESTS) campaigns.soak $(SOAK) --images $(IMAGES) --seed $(SEED) --out build/soak.json

fuzz: setup ## fuzz the C runtime's model reader for SECONDS (needs clang)
	$(BIN)/python firmware/tests/fuzz.py --seconds $(SECONDS)

# What tests need.
models: data
	$(MAKE) -j2 $(TESTED) .venv/board/.ready $(PYNQS:%=.venv/pynq-%/.ready) $(SIMULATORS:%=sim-%)

$(SIMULATORS:%=sim-%): sim-%:
	$(SPIKELINE) sim --geometry $*

$(MODES:%=compile-%): compile-%:
	$(MAKE) compile MODE=$*

lint: setup ## check Python with ruff and mypy, Verilog with Verilator, slang and Icarus
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q tests/unit/test_rtl_tools.py

gen-check: setup ## fail if a generated file differs from its source
	$(BIN)/python -m spikeline_rtl.spec.generate --check
	$(BIN)/python -m spikeline_rtl.spec.registers --check
	$(BIN)/python docs/splice.py --check
	$(BIN)/python docs/waves.py --check

##@ Measure

area: setup ## map the geometries to their devices with Yosys: LUTs, FFs, block RAM (about a quarter of an hour)
	$(BIN)/python -m spikeline_rtl.synthesis.area --out build/area/report.json

timing: setup ## place and route on an ECP5, a stand-in for the clock on the board (about ten minutes)
	$(BIN)/python -m spikeline_rtl.synthesis.timing --out build/timing/report.json

bench: $(BENCH) ## measure named networks over all test images, sweep time steps, activity, width (trains them: half an hour)
	$(SPIKELINE) bench $(BENCH) --sweep $(MODELS)/mnist-dc-256/model.img --out build/bench/report.json \
		$(foreach name,area timing,--$(name) $(firstword $(wildcard build/$(name)/report.json) docs/results/$(name).json))

energy: $(ENERGY) ## estimate the energy per image of named networks over all test images, and sweep time steps and early exit
	$(SPIKELINE) energy $(ENERGY) --sweep $(MODELS)/mnist-dc-256/model.img --out build/energy

##@ Build

gen: setup ## write the constants of all languages from rtl/spec/spikeline.rdl, the tables and waveforms of the documents
	$(BIN)/python -m spikeline_rtl.spec.generate
	$(BIN)/python -m spikeline_rtl.spec.registers
	$(BIN)/python docs/splice.py
	$(BIN)/python docs/waves.py

bit: setup $(SAIF) ## build the bitstream of BOARD with Vivado, and its reports (SAIF=build/bit/activity.saif: power by real activity)
	$(BIN)/python -m spikeline_rtl.boards.bit $(BOARD) $(GEOMETRY:%=--geometry %) --out build/bit/$(BOARD) $(SAIF:%=--saif %)

firmware: $(OUT)/model.img ## build the C runtime's MNIST example for the board: bare metal and Linux (needs ARM compilers)
	$(MAKE) -C firmware/examples/mnist MODEL=$(if $(filter /%,$<),$<,../../../$<) zynq linux

clean: ## remove what was built; MNIST, simulators and .venv stay
	rm -rf build

# ---- files ----

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo "Python 3.11 or 3.12 is needed; run: sudo apt-get install python3.11 python3.11-venv, then make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing; run: sudo apt-get install python3-venv"; exit 1; }
	@for tool in g++ make perl git; do command -v $$tool >/dev/null || \
		{ echo "$$tool is missing; run: sudo apt-get install $$tool"; exit 1; }; done
	$(PYTHON) -m venv --clear .venv
	@# uv installs in a quarter of pip's time, but does not know pip's settings: where it reaches no index, pip does the work.
	$(PIP) uv
ifeq ($(GPU),)
	$(UV) --torch-backend cpu torch 2>/dev/null || $(PIP) torch
endif
	$(UV) -e '.[train,sim,dev]' 2>/dev/null || $(PIP) -e '.[train,sim,dev]'
	@touch $@

# What a PYNQ image has at least, to test the base package in; apart from all else that is installed here.
.venv/board/.ready: .venv/.ready
	$(PYTHON) -m venv --clear .venv/board
	.venv/board/bin/pip install -q --disable-pip-version-check numpy==1.23.5
	@touch $@

# A version of pynq with the packages that it asks for, to test the runtime on; it is installed from its source, as it is.
.venv/pynq-%/.ready: tests/support/pynq/%.txt | .venv/.ready
	$(PYTHON) -m venv --clear $(@D)
	UV_HTTP_RETRIES=1 $(BIN)/uv pip install -q --python $(@D)/bin/python -r $< 2>/dev/null || \
		$(@D)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

# An interrupted training goes on where it stopped; a finished one starts anew if the preset or the code has changed.
define train
	@mkdir -p $(@D)
	@if [ -e $@ ]; then rm -f $@ $(@D)/checkpoint.pt; fi
	$(SPIKELINE) train --out $(@D) --resume $(1)
	@touch $@
endef

$(OUT)/.trained: $(PRESETS)/$(PRESET).toml $(OUT)/.preset $(TRAINING) | .venv/.ready
	$(call train,--preset $(PRESET))

# Changes only when OUT is to hold another preset, whose training starts anew.
$(OUT)/.preset: FORCE
	@mkdir -p $(@D)
	@echo '$(PRESET)' | cmp -s - $@ || { if [ -e $@ ]; then rm -f $(@D)/checkpoint.pt; fi; echo '$(PRESET)' >$@; }

$(MODELS)/width-%/.trained: $(PRESETS)/mnist-dc-256.toml $(TRAINING) | .venv/.ready
	$(call train,--preset mnist-dc-256 --hidden $*$(comma)$*)

# PRESET+KEY~VALUE+...: a preset with other values
.SECONDEXPANSION:
$(MODELS)/%/.trained: $(PRESETS)/$$(firstword $$(subst +, ,$$*)).toml $(TRAINING) | .venv/.ready
	$(call train,--preset $(subst ~,=,$(subst +, --set ,$*)))

comma := ,

$(MODELS)/mnist-dc-512/model.img: GEOMETRY = z020-512
$(MODELS)/mnist-dc-1024/model.img: GEOMETRY = z020-1024
$(MODELS)/mnist-conv-fast/model.img: GEOMETRY = z020-conv
$(foreach name,mnist-conv-best mnist-conv-events fashion-conv,$(MODELS)/$(name)/model.img): GEOMETRY = zu3-conv

%/model.onnx: %/.trained
	$(SPIKELINE) export --checkpoint $(@D)/checkpoint.pt --out $@ --verify 1000

%/model.img: %/model.onnx $(COMPILER)
	$(SPIKELINE) compile $< --out $@ --geometry $(GEOMETRY) --verify 1000

build/bit/activity.saif: $(OUT)/model.img
	$(BIN)/python -m spikeline_rtl.boards.activity $< --geometry $(GEOMETRY) --out $@

%/early-exit.img: %/model.onnx $(COMPILER)
	$(SPIKELINE) compile $< --out $@ --geometry $(GEOMETRY) --early-exit 0.0005

.SECONDARY: # what lies between a preset and its model is kept
