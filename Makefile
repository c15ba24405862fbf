# Everything needs only Python 3.11+ and make: the first call creates the virtual environment.
PYTHON ?= python3
VENV ?= .venv
DIST ?= dist
# What test-wheel and test-sdist run, and against which wheel: by default one that is built for it.
TESTS ?=
WHEEL ?=
# Processes among which pytest-xdist shares the tests; each takes about a gigabyte of memory.
JOBS ?= auto
SHARED := -n $(JOBS) --maxprocesses 8 --dist worksteal
BIN := $(VENV)/bin
GPUSIM := $(BIN)/gpusim

.DEFAULT_GOAL := help
.PHONY: help demo test test-deep test-boundscheck test-wheel test-sdist test-numba-bounds test-numba-oldest \
  test-numba-newest coverage bench lint format traces wheel sdist clean

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
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[cuda,dev]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core ## simulate the bundled SGEMM on an RTX A6000 and print the report
	$(GPUSIM) run --config a6000.yaml traces/ampere/sgemm

test: $(VENV)/.dev ## the test suite
	$(BIN)/python -m pytest -q $(SHARED) -m 'not slow'

test-deep: $(VENV)/.dev ## the slow tests as well
	$(BIN)/python -m pytest -q $(SHARED)

test-boundscheck: $(VENV)/.dev ## the marked subset with array bounds checked in compiled code
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q -m boundscheck

coverage: $(VENV)/.dev ## which lines of the timing model random programs reach, in runs without the compiler
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -q tests/test_640_unjitted.py
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

# Without the working folder on Python's path, the package that tests find is the one that was installed.
test-wheel: $(if $(WHEEL),,wheel) ## the test suite against a built wheel: WHEEL=, and a part of it with TESTS=
	$(PYTHON) -m venv --clear $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install -qq --disable-pip-version-check \
	  "$$(echo $(or $(WHEEL),$(DIST)/gpusim-*.whl))[cuda,dev]"
	PYTHONSAFEPATH=1 $(VENV)-wheel/bin/python -m pytest -q $(SHARED) -m 'not slow' $(TESTS)

test-sdist: sdist ## unpack the sdist; from there, build its wheel and test that (by default the tests of files, quick)
	rm -rf $(DIST)/unpacked
	mkdir $(DIST)/unpacked
	tar -xzf $(DIST)/gpusim-*.tar.gz -C $(DIST)/unpacked --strip-components 1
	$(MAKE) -C $(DIST)/unpacked test-wheel VENV=.venv DIST=dist WHEEL= \
	  TESTS="$(or $(TESTS),tests/test_0[0-5]*.py tests/test_752*.py tests/test_82*.py)"

test-numba-bounds: test-numba-oldest test-numba-newest ## what is private to Numba, at both ends of its versions

NUMBA_TESTS := $(addprefix tests/,test_060_code_cache.py test_061_compiling.py test_063_numba_hooks.py test_600_sm.py \
  test_740_launch.py)
test-numba-oldest: NUMBA = numba==$(shell sed -n 's/.*"numba>=\([0-9.]*\),.*/\1/p' pyproject.toml)
test-numba-newest: NUMBA = numba
test-numba-oldest test-numba-newest: test-%:
	$(PYTHON) -m venv --clear $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install -qq --disable-pip-version-check -e '.[dev]' '$(NUMBA)'
	@$(VENV)-$*/bin/python --version
	@$(VENV)-$*/bin/python -m pip list --disable-pip-version-check | grep -E '^(numba|llvmlite|numpy) '
	$(VENV)-$*/bin/python -m pytest -q $(NUMBA_TESTS)

bench: $(VENV)/.core ## speed, start-up seconds and peak memory per bundled kernel
	$(GPUSIM) bench $(BENCH)

lint: $(VENV)/.dev ## ruff (rules and formatting) and mypy (types)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

traces: $(VENV)/.dev ## trace every kernel of traces/kernels, check its results, list them in traces/README.md
	$(BIN)/python traces/build.py

# Where such code can be made, a wheel brings compiled code for x86-64-v3 and is for such Linux machines; it runs on older
# ones too, and compiles there. Elsewhere it is one for any machine.
ifeq ($(shell uname -sm),Linux x86_64)
WITH_CODE := --config-setting=--build-option=--plat-name=manylinux2014_x86_64
endif

wheel: $(VENV)/.dev ## build a wheel into $(DIST)
	rm -rf build gpusim/compiled $(DIST)/gpusim-*.whl
	$(if $(WITH_CODE),$(GPUSIM) warm --wheel)
	$(BIN)/python -m build --quiet --wheel --outdir $(DIST) $(WITH_CODE) .
	rm -rf gpusim/compiled

sdist: $(VENV)/.dev ## build a source distribution into $(DIST)
	rm -f $(DIST)/gpusim-*.tar.gz
	$(BIN)/python -m build --quiet --sdist --outdir $(DIST) .

clean: ## remove build outputs (the environment stays)
	rm -rf build dist gpusim/compiled *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
