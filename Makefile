# Every target does the set-up it needs itself and is quick when run again; scripts/setup.sh says what is missing.
#   make demo [INPUT=cloud.ply|.pcd|.las|.npy|.bin|bag] [VOCABULARY=chair,table] [OUT=out/demo]
#   make test [ARGS="-k partition"]    make lint    make bench [ARGS=--batches]    make mini-model [ARGS=...]
#   make soak [ARGS="--minutes 60"]    make hostile [ARGS="--minutes 10"]    make signals
#   make results [ARGS="--quick"]    make robustness [ARGS="--root DATA"]    make calibration [ARGS="--root DATA"]    make gpu-check [ARGS=--fast]
#   make paper TABLE=2 DATA=DIR [ARGS="--device cuda"]    make paper-smoke [ARGS="--tiny"]
#   make fuzz [ARGS="clouds files --count 20000 --seed 0"]
#   make test-floors    make lock [ARGS=-U]    make platforms    make shapes [ARGS="--source NAME=PATH"]
# Variables: PYTHON (interpreter of a new environment), VENV, TORCH_INDEX (package index for torch, e.g. PyTorch's CPU index).
SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PYTHON VENV TORCH_INDEX
OUT ?= out/demo
RUN = . scripts/environment.sh && exec "$$VENV/bin/python"

.PHONY: help demo test lint bench shapes mini-model results paper paper-smoke robustness calibration gpu-check fuzz soak hostile signals test-floors lock platforms
help:
	@sed -n '2,9s/^# *//p' Makefile

demo:
	@scripts/setup.sh run
	@$(RUN) -m s4token_ros.demo --out "$(OUT)" $(if $(INPUT),--input "$(INPUT)") $(if $(VOCABULARY),--vocabulary "$(VOCABULARY)") $(ARGS)

test:
	@scripts/test.sh $(ARGS)

lint:
	@scripts/setup.sh lint
	@. scripts/environment.sh && "$$VENV/bin/ruff" check . && "$$VENV/bin/mypy"

bench:
	@scripts/setup.sh bench
	@$(RUN) -m s4token_model.cli benchmark $(ARGS)

# CAD models of open licenses as the shapes of procedural scenes; see docs/train.md.
shapes:
	@scripts/setup.sh shapes
	@$(RUN) -m scripts.shapes $(ARGS)

mini-model:
	@scripts/setup.sh train
	@$(RUN) -m s4token_model.training.train_mini $(ARGS)

results:
	@scripts/setup.sh train
	@$(RUN) -m s4token_model.experiments $(ARGS)

# A table of the paper on its data, and all of them on a few made files; see docs/train.md.
paper:
	@scripts/setup.sh train
	@$(RUN) -m s4token_model.cli paper "$(TABLE)" --data "$(DATA)" $(ARGS)

paper-smoke:
	@scripts/setup.sh test
	@$(RUN) scripts/paper_smoke.py $(ARGS)

robustness:
	@scripts/setup.sh bench
	@$(RUN) -m s4token_model.cli robustness --report docs/robustness.md $(ARGS)

calibration:
	@scripts/setup.sh bench
	@$(RUN) -m s4token_model.cli evaluate calibration --report docs/calibration.md \
	    $(if $(S4TOKEN_DATA),--root "$(S4TOKEN_DATA)") $(ARGS)

gpu-check:
	@scripts/setup.sh test
	@$(RUN) scripts/gpu_check.py $(ARGS)

fuzz:
	@scripts/setup.sh test
	@$(RUN) -m scripts.fuzz $(ARGS)

# The quick tests with the lowest versions that requirements.txt allows.
test-floors:
	@scripts/supply.sh floors $(ARGS)

# Write requirements-lock.txt: every version, with hashes.
lock:
	@scripts/supply.sh lock $(ARGS)

# Resolve the requirements for other processors and Pythons.
platforms:
	@scripts/supply.sh platforms

soak:
	@scripts/setup.sh test
	@$(RUN) -m scripts.trials.soak $(ARGS)

hostile:
	@scripts/setup.sh test
	@$(RUN) -m scripts.trials.hostile $(ARGS)

signals:
	@scripts/setup.sh test
	@$(RUN) -m scripts.trials.signals $(ARGS)
