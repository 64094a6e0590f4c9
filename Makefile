# Everything runs in an environment of its own, .venv, made by the first target that needs it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: test demo record soak bench bench-quick bench-retention check lint types layers format clean

test: $(STAMP)  ## all tests (under 5 minutes on 2 cores, no network)
	$(BIN)/python -m pytest -n auto --dist worksteal

demo: $(STAMP)  ## the recorder against the built-in simulator, half a minute, no network
	$(BIN)/l2-exporter demo

record: $(STAMP)  ## record for real, into ./vault, until Ctrl-C
	$(BIN)/l2-exporter record

soak: $(STAMP)  ## the long tests: kills, memory over time, 100 seeds of faults at every venue (an hour)
	$(BIN)/python -m pytest -m soak --ignore tests/contract
	$(BIN)/python -m pytest -m soak -n auto --dist worksteal tests/contract

bench: $(STAMP)  ## how fast it is, beside other programs, which it installs below .benchmarks (half an hour)
	$(BIN)/python -m benchmarks.speed --peers --json .benchmarks/speed.json --chart .benchmarks/speed.svg

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

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev,zstd]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
