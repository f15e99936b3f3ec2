# Two commands need nothing but Python ≥ 3.11, make and git: `make demo` and `make test`. Both say what else they lack, or bring it,
# before they begin (tests/tools.sh), and set up .venv first.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
WORKERS ?= 4

N ?= 1000

# One after the other: what is lacking is said before anything is set up.
.NOTPARALLEL:
.PHONY: help setup demo lacks-nothing test simulate chaos lint bench translations picture requirements

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile

setup: $(READY)  ## build .venv

# Everything is pinned in requirements.txt and installed without looking at dependencies: nothing is ever compiled
# (crcmod-plus, which has wheels, takes the place of crcmod), so no C compiler is needed.
$(READY): requirements.txt pyproject.toml
	@echo "Setting up .venv; the first time this takes a minute …" >&2
	@if command -v uv >/dev/null 2>&1; then \
		{ test -x $(BIN)/python || uv venv --quiet --python '>=3.11' .venv; } && \
		uv pip install --quiet --python $(BIN)/python --no-deps -r requirements.txt && \
		uv pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
		{ test -x $(BIN)/pip || $(PYTHON) -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
			echo "Python 3.11 or newer with its venv is needed, or uv. Install it: sudo apt-get install -y python3-venv" >&2; exit 1; }; } && \
		{ test -x $(BIN)/pip || $(PYTHON) -m venv .venv; } && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .; \
	fi
	@touch $@

demo: lacks-nothing $(READY)  ## a practice fleet and a release on it; without a terminal it runs by itself (ARGS="--headless --json")
	@$(BIN)/cockpit demo $(ARGS)

lacks-nothing:
	@PYTHON="$(PYTHON)" sh tests/tools.sh demo

# Of some tests (ARGS) those fail that lack something; for all of them nothing may be lacking.
test:  ## every test, and before it what it needs on this machine (ARGS="tests/unit -k name" for some)
	@PYTHON="$(PYTHON)" sh tests/tools.sh test$(if $(ARGS), || true)
	@$(MAKE) --no-print-directory $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(if $(ARGS),$(ARGS),tests)

simulate: $(READY)  ## N runs of whole releases in virtual time (N=10000 SEED=1), or one with its trace (REPLAY=seed)
	@$(BIN)/python -m tests.simulation.simulate --runs $(N) $(if $(SEED),--seed $(SEED)) $(if $(REPLAY),--replay $(REPLAY))

lint: $(READY)  ## format, lint, types, layers, shell
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.support.shell_texts

chaos: $(READY)  ## releases on the lab while engines are killed and frozen (N=10 SEED=1, on both stores)
	CHAOS_N=$(if $(filter command line environment,$(origin N)),$(N),10) CHAOS_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -s -p no:xdist tests/integration/chaos $(ARGS)

bench: $(READY)  ## measurements, as ratios to a raw loop in the same run
	$(BIN)/python -m pytest -q -p no:xdist -o python_files='bench_*.py' -o timeout=1200 $(if $(ARGS),$(ARGS),tests/benchmarks)

translations: $(READY)  ## collect the sentences into cockpit/locale and compile them
	$(BIN)/python cockpit/locale/update.py $(ARGS)

picture:  ## docs/order.svg, from a snapshot of the order screen
	sed '/@font-face/,/}/d' "tests/screens/__snapshots__/test_pictures/test_picture[order-gray-slider-160x45-en].svg" > docs/order.svg

requirements:  ## pin the newest versions that pyproject.toml allows
	uv pip compile --universal --python-version 3.11 --no-annotate --no-header --group dev pyproject.toml -o requirements.txt
