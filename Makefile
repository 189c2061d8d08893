# SPDX-License-Identifier: Apache-2.0
# The front door. `make` alone says what there is.
PYTHON ?= python3
VENV   := .sandbox/venv
BIN    := $(VENV)/bin
# The documentation needs no OpenStack: without a sandbox it gets a small environment of its own.
DOCS   := $(if $(wildcard $(BIN)/sphinx-build),$(BIN),.sandbox/venv-docs/bin)
OTHER  := .sandbox/venv-ovn-octavia-provider
# More workers than cores: tests of real services wait most of the time. Longest first: tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadfile --ignore=tests/core
# What only computes runs beside them, and gives way to them: they have time limits.
BESIDE := $(MAKE) --no-print-directory -j4 lint docs core NICE='nice -n 10'

.DEFAULT_GOAL := help
# Tests start hundreds of processes, which would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help install demo demo-horizon tempest test check everything fast core coverage unit lint docs test-clients test-matrix bench chaos

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

install: ## Install what demo and test need: Debian packages, a virtual environment
	@$(PYTHON) -m sandbox install

demo: ## Show a load balancer at work on a real OpenStack and OVN, started for it
	@$(PYTHON) -m sandbox demo

demo-horizon: ## Create and edit a load balancer in Horizon, in a browser without a window (PICTURES=folder)
	@$(PYTHON) -m sandbox demo-horizon $(if $(PICTURES),--pictures $(PICTURES))

tempest: install ## Run Octavia's own API tests against the driver; list skips in docs/reference/tempest.md
	@$(PYTHON) -m sandbox tempest --report docs/reference/tempest.md

test: install ## Check and test everything, real services included (8 minutes)
	@$(BESIDE) everything

check: install ## Check and test what every change must pass (3 minutes)
	@$(BESIDE) fast

everything:
	@$(PYTEST)

fast:
	@$(PYTEST) -q -m 'not slow'

core: # These tests run apart, because their coverage is measured: it must be complete.
	@$(NICE) $(BIN)/python -m pytest -q -n 2 --cov=octavia_ovn.core --cov-fail-under=100 tests/core

coverage: install ## Measure the coverage of the whole package by all tests but slow ones (minutes)
	@$(BIN)/python -m pytest -q -n 4 --dist loadfile -m 'not slow' --cov

test-clients: install ## Drive Octavia by Ansible, openstacksdk, the openstack command and others (minutes)
	@$(BIN)/python -m pytest tests/clients

test-matrix: install ## Test against versions of OVN, Octavia and Python (1 hour); write docs/reference/versions.md
	@$(BIN)/python -m matrix --report docs/reference/versions.md $(MATRIX)

unit: install ## Test the core and the controller only (seconds)
	@$(BIN)/python -m pytest -q tests/core tests/controller

lint: install ## Check style, types and layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(NICE) $(BIN)/mypy
	@$(NICE) $(BIN)/lint-imports --no-cache

docs: ## Build the documentation in docs/_build/html; a warning is an error
	@test -x $(DOCS)/sphinx-build || $(PYTHON) -m venv $(dir $(DOCS))
	@test -x $(DOCS)/sphinx-build || $(DOCS)/pip install --quiet -e '.[docs]'
	@$(NICE) $(DOCS)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: install ## Compare with the newest ovn-octavia-provider (20 minutes; BENCH=--quick: 6)
	@$(PYTHON) -m sandbox install --venv $(OTHER) --provider-package ovn-octavia-provider
	@$(BIN)/python -m bench.c_parser $(OTHER)
	@$(BIN)/python -m bench --driver ovn-octavia-provider=$(OTHER) --driver octavia-ovn=$(VENV) \
		--json .sandbox/bench.json --text .sandbox/bench.txt $(BENCH)
	@$(BIN)/python -m bench.octavia --other $(OTHER) --text .sandbox/bench-octavia.txt

chaos: install ## Kill processes and break connections under load, report how requests ended (2 minutes)
	@$(BIN)/python -m chaos $(CHAOS)
