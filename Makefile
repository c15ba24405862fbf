# Everything needs only Python 3.11+ and make: the first call creates the virtual environment.
PYTHON ?= python3
VENV ?= .venv
DIST ?= dist
BIN := $(VENV)/bin
GPUSIM := $(BIN)/gpusim

.DEFAULT_GOAL := help
.PHONY: help demo test test-deep test-boundscheck coverage bench lint format traces wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gpusim needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Stamps: an environment is installed again only when the package's metadata changes.
$(VENV)/.core: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[sass,dev]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core ## simulate the bundled SGEMM on an RTX A6000 and print the report
	$(GPUSIM) run --config a6000.yaml traces/ampere/sgemm

test: $(VENV)/.dev ## the test suite
	$(BIN)/python -m pytest -q -m 'not slow'

test-deep: $(VENV)/.dev ## the slow tests as well
	$(BIN)/python -m pytest -q

test-boundscheck: $(VENV)/.dev ## the marked subset with array bounds checked in compiled code
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q -m boundscheck

coverage: $(VENV)/.dev ## which lines of the timing model random programs reach, in runs without the compiler
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -q tests/test_640_unjitted.py
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

bench: $(VENV)/.core ## speed, start-up seconds and peak memory per bundled kernel
	$(GPUSIM) bench

lint: $(VENV)/.dev ## ruff (rules and formatting) and mypy (types)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

traces: $(VENV)/.dev ## trace every kernel of traces/kernels, check its results, list them in traces/README.md
	$(BIN)/python traces/build.py

wheel: $(VENV)/.dev ## build a wheel into $(DIST)
	rm -rf build
	$(BIN)/python -m build --quiet --wheel --outdir $(DIST) .

clean: ## remove build outputs (the environment stays)
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
