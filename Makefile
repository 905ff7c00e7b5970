# One command per job, the same here and in CI. Everything is set up on first use: packages into
# .venv by requirements.lock, Debian programs by tools/install-*.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
export PYTHON
BIN := .venv/bin
VENV := .make/venv
READY := .make/engine
PYTEST := $(BIN)/python -m pytest
# Tests that run at the same time; real-peer tests have labs of their own.
JOBS ?= 2
PEER_JOBS ?= 2
# How long the compiled engine is fuzzed.
FUZZ_SECONDS ?= 120
# How long each pair of ends is soaked: 20 minutes stand for a day of renewals.
SOAK_SECONDS ?= 1200
# More words for pytest, for example: make test-quick ARGS="-k pat"
ARGS ?=

UNIT := not root and not peer and not long and not soak
REAL := (root or peer or long) and not soak and not interop_matrix

.PHONY: help demo test-quick test check interop faults xfrm soak soak-rekeys fuzz bench wheels requirements lock clean peers more-peers lab-tools

help:  ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

demo: $(READY)  ## two clients behind one PAT reach a private network, in a lab on this machine
	@tools/install-base --if-root lab
	@$(BIN)/culvert demo

test-quick: $(READY)  ## no root, no peers, up to a minute
	$(PYTEST) -n $(JOBS) -m "$(UNIT)" --culvert-suite=test-quick $(ARGS)

test: check lab-tools peers  ## the gate: check, then every test (root)
	$(MAKE) --no-print-directory test-quick
	$(PYTEST) -n $(PEER_JOBS) --dist loadfile -m "$(REAL)" --culvert-suite=test $(ARGS)

check: $(READY)  ## format, lint, types, floors
	$(BIN)/ruff format --check src tests tools
	$(BIN)/ruff check src tests tools
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

interop: $(READY) lab-tools peers more-peers  ## every real peer with every suite (root), and docs/interop.md
	ended=0; $(PYTEST) tests/interop -n $(PEER_JOBS) --dist loadfile -m "not soak" \
		--culvert-suite=interop $(ARGS) || ended=$$?; \
	$(BIN)/python tools/interop_matrix && exit $$ended

faults: $(READY) lab-tools  ## every fault, in virtual time and in namespaces (root), and docs/faults.md
	ended=0; $(PYTEST) tests/faults -n $(PEER_JOBS) --dist loadfile --ignore tests/faults/test_page.py \
		--culvert-suite=faults \
		$(ARGS) || ended=$$?; \
	$(BIN)/python tools/fault_list && exit $$ended

xfrm: $(READY) lab-tools  ## the kernel's IPsec as engine, on a Debian kernel under qemu (root, minutes)
	@tools/install-base xfrm
	tools/xfrm_under_qemu $(ARGS)

soak: $(READY) lab-tools  ## hours (root)
	$(PYTEST) -m soak --timeout=0 --culvert-suite=soak $(ARGS)

soak-rekeys: $(READY) lab-tools peers  ## of it: full rate and renewals, 20 minutes for each pair, into docs/results (root)
	@tools/install-base bench
	CULVERT_SOAK_SECONDS=$(SOAK_SECONDS) $(PYTEST) tests/interop/test_rekeys.py -m soak --timeout=0 -s \
		--culvert-suite=soak-rekeys --culvert-results=docs/results $(ARGS)

fuzz: $(READY)  ## every property with many more examples
	$(PYTEST) -n $(JOBS) -m "hypothesis and not root and not peer and not soak" --hypothesis-profile=fuzz \
		--timeout=0 $(ARGS)
	PYTHONPATH=tests $(BIN)/python tests/fuzz/guided.py --seconds $(FUZZ_SECONDS)
	tools/fuzz-batch $(FUZZ_SECONDS)

bench: $(READY) lab-tools peers  ## figures beside those of peers, into docs/performance.* (root)
	@tools/install-base bench
	$(PYTEST) tests/bench -o python_files='bench_*.py' -s --timeout=0 --culvert-suite=bench
	PYTHONPATH=tests $(BIN)/python tests/bench/throughput.py $(ARGS)

wheels: $(READY)  ## dist/*.whl: with the compiled engine, for every CPython 3 of this platform
	$(BIN)/python -m build --no-isolation --wheel --outdir dist .

requirements:  ## what is proved, from the results of earlier runs; runs nothing
	@$(PYTHON) tools/requirements

lock:  ## pin anew what pyproject.toml asks for
	$(PYTHON) tools/lock.py

clean:  ## remove everything generated, except results/
	rm -rf .venv .make build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

lab-tools:
	@tools/install-base lab

peers:
	@tools/install-peers ipsec
	@tools/install-peers desktop

more-peers:
	@tools/install-peers libreswan

$(VENV): requirements.lock pyproject.toml
	@tools/install-base venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "culvert needs Python 3.11 or later; say which with PYTHON=python3.x" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@mkdir -p $(@D) && touch $@

# The installation above has built it; this is for changes since. Without a compiler: pure Python.
$(READY): $(VENV) setup.py $(wildcard src/culvert/esp/*.[ch] src/culvert/esp/batch/*.h)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@
