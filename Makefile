# Targets of frostnas. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPREAD := -n 2 --dist loadfile  # tests are one-threaded; more processes want more memory

.PHONY: help install demo check test test-all test-arm bench docs docs-links fmt clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(STAMP)  ## make .venv and install frostnas with its development tools

demo: $(STAMP)  ## search, train and export on the bundled digits
	$(BIN)/frostnas run

check: $(STAMP)
	$(BIN)/ruff check src tests benchmarks examples docs
	$(BIN)/ruff format --check src tests benchmarks examples docs
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## linters, types, import contract and the quick tests
	$(BIN)/python -m pytest $(SPREAD)

test-all: check  ## the same with the slow tests
	$(BIN)/python -m pytest -m 'not arm'

test-arm: $(STAMP)  ## profile over ssh on an emulated arm64 machine; needs root and Debian's packages for it
	tests/arm/target.sh need
	$(BIN)/python -m pytest -m arm tests/arm

bench: $(STAMP)  ## benchmarks of minutes; docs/ name those of hours
	$(BIN)/python benchmarks/qat_speed.py
	$(BIN)/python benchmarks/qat_speed.py --compile
	$(BIN)/python benchmarks/train_throughput.py
	$(BIN)/python benchmarks/imagenet_cost.py
	$(BIN)/python benchmarks/qat_peers.py
	$(BIN)/python benchmarks/block_cost.py
	$(BIN)/python benchmarks/latency_prediction.py
	$(BIN)/python benchmarks/runtime_settings.py
	$(BIN)/python benchmarks/net_search.py runs/bench/step step
	$(BIN)/python benchmarks/ablation_qat.py
	$(BIN)/python benchmarks/growth.py

docs: $(STAMP)  ## build the documentation into build/docs; warnings are errors
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs

docs-links: $(STAMP)  ## ask every other site that the documentation links to; needs a network
	$(BIN)/sphinx-build -W --keep-going -q -b linkcheck docs build/links

fmt: $(STAMP)  ## format the code
	$(BIN)/ruff check --fix src tests benchmarks examples docs
	$(BIN)/ruff format src tests benchmarks examples docs

clean:  ## remove what the other targets made, but not runs/
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
