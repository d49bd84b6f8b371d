# Everything is installed below the project folder, package caches too.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
export UV_CACHE_DIR := $(CURDIR)/.venv/cache
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode
COMPILE := UV_NO_CONFIG=1 $(BIN)/uv pip compile --quiet --upgrade --no-annotate --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
UNIT := $(BIN)/python -m pytest tests/unit --numprocesses=auto --maxprocesses=4
TOGETHER := $(filter-out %/test_serving_server.py,$(wildcard tests/integration/test_*.py)) tests/deployment
WHOLE := $(BIN)/python -m pytest $(TOGETHER) --numprocesses=2 --dist=loadfile --no-loadscope-reorder
REST := $(BIN)/python -m pytest --ignore=tests/unit $(TOGETHER:%=--ignore=%)
SETUP := .venv/.installed
SETUP_DEV := .venv/.installed-dev

help:  ## Show what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(SETUP)  ## Install what Nightshift needs into .venv, by the lock

$(SETUP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; install Python 3.11, or say where it is: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the locked packages into .venv (a few minutes on the first time)"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.txt > .venv/uv.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes -r .venv/uv.txt
	@# two packages come as source only; they are built by the lock's own setuptools, so that nothing unhashed runs
	@sed -n '/^setuptools==/,/[^\\]$$/p' requirements.txt > .venv/setuptools.txt
	@$(INSTALL) -r .venv/setuptools.txt
	@$(INSTALL) --no-build-isolation -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(SETUP_DEV): $(SETUP) requirements-dev.txt
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

demo: $(SETUP)  ## Tell the whole story on real flights
	@$(BIN)/nightshift demo

up: $(SETUP)  ## Start Airflow, MLflow and serving
	@$(BIN)/nightshift up

down: $(SETUP)  ## Stop them
	@$(BIN)/nightshift down

status: $(SETUP)  ## Show what runs, and how the models are
	@$(BIN)/nightshift status

# unit tests share the cores, and so do the files with a real Airflow and a real MLflow, which mostly wait; those that measure
# serving or hold a load have the machine to themselves
test: $(SETUP_DEV)  ## Run all tests (under 20 minutes on two cores)
	@failed=0; $(UNIT) || failed=1; $(WHOLE) || failed=1; $(REST) || failed=1; exit $$failed

stress: $(SETUP_DEV)  ## Run the long forms of the stress tests
	@NIGHTSHIFT_TEST_LONG=1 $(BIN)/python -m pytest tests/stress tests/load

check: $(SETUP_DEV)  ## Format, lint, types, import contracts, specs, unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=plugins $(BIN)/lint-imports --no-cache
	@$(BIN)/nightshift check --specs
	@$(UNIT) -q

bench: $(SETUP_DEV)  ## Measure against peers and bare floors
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

lock: $(SETUP)  ## Make the locks anew from requirements*.in
	@$(COMPILE) requirements.in -o requirements.txt
	@$(COMPILE) requirements-dev.in -o requirements-dev.txt
	@$(COMPILE) --no-emit-package nvidia-nccl-cu12 docker/serving-requirements.in -o docker/serving-requirements.txt

clean:  ## Remove all state and the environment (the data registry and models too)
	@test ! -x $(BIN)/nightshift || $(BIN)/nightshift down
	rm -rf .nightshift .venv

.PHONY: help setup demo up down status test stress check bench lock clean
