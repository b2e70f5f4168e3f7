# Needs Python 3.11 or later and nothing else; `make PYTHON=/path/to/python test` chooses one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

PARALLEL := -q -n 2 --dist loadgroup
# At 32 pixels a second thread gains nothing, and costs much where others use the machine.
DEMO := search --device host --data digits --target-ms 0.25 --trials 6 --trial-epochs 3 --final-epochs 30 \
	--out runs/demo --verbose

# Where the emulated aarch64 device looks for it; `make sysroot SYSROOT=folder` puts it elsewhere.
SYSROOT ?=

.PHONY: demo test test-slow test-exhaustive check format clean sysroot

demo: $(INSTALLED)
	rm -rf runs/demo
	OMP_NUM_THREADS=1 $(BIN)/mobilenas $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not exhaustive"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL) -m "slow and not exhaustive"

test-exhaustive: $(INSTALLED)
	$(BIN)/python -m pytest $(PARALLEL) -m exhaustive

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# An arm64 Python and LiteRT from the package registries, for the device aarch64_emulated (docs/emulated_device.md).
sysroot: $(INSTALLED)
	$(BIN)/python -m mobilenas.runners.sysroot $(SYSROOT)

clean:
	rm -rf $(VENV) build dist runs .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found; install one or run: make PYTHON=/path/to/python" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[train,ssh,dev]'
	@touch $@
