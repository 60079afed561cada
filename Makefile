# Commands that each do all their own set-up in a virtual environment of its own:
#   make demo        installs, and pretrains on the embedded default
#   make test        installs, and runs lint, types and every test that is not slow
#   make test-slow   installs, and runs the slow tests: wheels, killed and resumed processes, whole databases
#   make docs        installs, and builds the documentation into site/
# CI runs both tests. PYTHON chooses the interpreter the environment is made with: make test PYTHON=python3.12
# WORKERS is the number of test processes. A failed run is repeated by the HYPOTHESIS_SEED and SSL_ECG_THREADS it names.

PYTHON ?= python3
WORKERS ?= 2
# A module's tests stay in one worker, so that what they share is made once.
PYTEST = .venv/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 10
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow docs
.DELETE_ON_ERROR:

demo: .venv/installed
	.venv/bin/python -m ssl_ecg.pretrain

test: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTEST) -m "not slow"

test-slow: .venv/installed-dev
	$(PYTEST) -m slow

docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo "Open site/index.html"

# The stamps: what is installed is installed again only when the requirements change.
.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing into .venv (torch is large: minutes the first time) ..."
	$(PIP) --editable '.[train]'
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing what the tests need ..."
	$(PIP) --editable '.[dev]'
	@touch $@

.venv/installed-docs: .venv/installed
	$(PIP) --editable '.[docs]'
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "ssl_ecg needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	  echo "Name another one: make $(firstword $(MAKECMDGOALS) demo) PYTHON=/path/to/python3.12"; \
	  exit 1; }
	$(PYTHON) -m venv .venv
