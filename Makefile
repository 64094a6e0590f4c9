# Everything runs in an environment of its own, .venv, made by the first target that needs it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# One more than processors: some tests wait for most of their time.
WORKERS = $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')

# Tests start a thousand processes, and each would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test test-python demo record soak soak-tests evidence crash-matrix crash-mutations bench bench-quick bench-retention check lint types layers format clean

test: $(STAMP)  ## all tests (five minutes on 2 cores, no network)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-python: $(STAMP)  ## books, venues, archive and recordings without the compiled part (a minute)
	PYTHONPATH=$(CURDIR)/tests/tools/without_compiled $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/core tests/venues tests/archive tests/test_recordings_*.py tests/test_differential_okx.py

demo: $(STAMP)  ## the recorder against the built-in simulator, half a minute, no network
	$(BIN)/l2-exporter demo

record: $(STAMP)  ## record for real, into ./vault, until Ctrl-C
	$(BIN)/l2-exporter record

soak-tests: $(STAMP)  ## the long tests of pytest: kills, memory over time, 100 seeds of faults at every venue (an hour)
	$(BIN)/python -m pytest -m soak --ignore tests/contract
	$(BIN)/python -m pytest -m soak -n auto --dist worksteal tests/contract

soak: $(STAMP)  ## all venues over sockets with faults for 30 minutes, and a day in minutes; writes docs/SOAK.md (40 minutes)
	$(BIN)/python -m benchmarks.soak

# In order, and on: a step that finds something wrong fails, and the page it wrote says what.
evidence:  ## makes the checked-in evidence anew, step by step (an hour and a half; nothing else should run meanwhile)
	@echo '1 of 4: crash-matrix writes docs/CRASH_MATRIX.md'
	$(MAKE) crash-matrix
	@echo '2 of 4: crash-mutations writes docs/CRASH_MUTATIONS.md'
	$(MAKE) crash-mutations
	@echo '3 of 4: soak writes docs/SOAK.md; its raw figures are in .benchmarks/soak'
	$(MAKE) soak
	@echo '4 of 4: bench-quick prints how fast the recorder is; docs/BENCHMARKS.md is written by make bench, beside other programs'
	$(MAKE) bench-quick

crash-matrix: $(STAMP)  ## every fault at every call to the disk; writes docs/CRASH_MATRIX.md (ten minutes on 2 cores)
	$(BIN)/python -m tests.crash

crash-mutations: $(STAMP)  ## the same without this or that precaution; writes docs/CRASH_MUTATIONS.md (ten minutes)
	$(BIN)/python -m tests.crash --mutations

bench: $(STAMP)  ## how fast it is, beside other programs, which it installs below .benchmarks; writes docs/BENCHMARKS.md (forty minutes)
	$(BIN)/python -m benchmarks.speed --peers --json .benchmarks/speed.json --chart docs/speed.svg --page docs/BENCHMARKS.md
	$(BIN)/python -m benchmarks.retention

bench-quick: $(STAMP)  ## how fast it is on OKX's books, beside no other program (less than a minute)
	$(BIN)/python -m benchmarks.speed --quick

bench-retention: $(STAMP)  ## what retention costs and saves, beside gzip -6 and zstd -3 (five minutes)
	$(BIN)/python -m benchmarks.retention

check: $(STAMP) lint types layers test  ## what every change must pass

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml l2_exporter/core/_compiled.pyx
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	rm -f l2_exporter/core/_compiled.c l2_exporter/core/_compiled.*.so
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev,zstd]'
	touch $(STAMP)

clean:
	rm -f l2_exporter/core/_compiled.c l2_exporter/core/_compiled.*.so
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
