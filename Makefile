# Each target sets up what it needs itself; all that has to be there is python3 (3.11 or newer) and a
# package registry. The environment is .venv; delete it, or `make clean`, to begin again.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Percent of lines and branches that the tests must reach; it was 98 when this was set.
FLOOR  ?= 95

SOURCES := agent exporters dashboards alerts helm tests
# Each writes what derives from the catalogue, and only looks with --check.
GENERATORS := "-m agent.catalogue.document" "-m agent.collectors.serving.document" "-m dashboards.build" "-m alerts.build" "helm/build.py"
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help demo test check generate eval-drift bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Watch a simulated node with 8 GPUs and model servers; ARGS="..." are passed on
	$(BIN)/warpwatch demo $(ARGS)

test: check ## Check, then run all tests against real programs; PYTEST="..." are options for pytest
	$(BIN)/python -m tests.real_parts.install || test -z "$$CI"
	$(BIN)/python -m tests.real_servers.install || test -z "$$CI"
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term --cov-fail-under=$(FLOOR) $(PYTEST)

check: $(VENV)/.dev ## Format, lint, types, layers, spelling, and that generated files are fresh
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/mypy helm/build.py
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	@! grep -nE '[a-z]+://' requirements*.lock
	@for build in $(GENERATORS); do echo "$(BIN)/python $$build --check"; \
	  $(BIN)/python $$build --check || exit 1; done

generate: $(VENV)/.dev ## Write all that derives from the catalogue: reference, dashboards, rules, chart
	@for build in $(GENERATORS); do echo "$(BIN)/python $$build"; \
	  $(BIN)/python $$build || exit 1; done

eval-drift: $(VENV)/.dev ## Evaluate drift detection on simulated and real series (minutes); writes docs/drift-evaluation.md
	$(BIN)/python -m tests.evaluation

bench: $(VENV)/.dev ## Measure the agent against its budgets, beside nvitop-exporter (about nine minutes)
	$(BIN)/python -m tests.bench

# Locks carry hashes and no address: they install from whatever registry the machine uses.
COMPILE := env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet pyproject.toml \
	--universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

lock: $(VENV)/.dev ## Resolve the dependencies anew; UPGRADE=--upgrade takes the newest of each
	$(COMPILE) --extra dev $(UPGRADE) --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements-dev.lock --no-annotate $(UPGRADE) --output-file requirements.lock
	$(COMPILE) --constraint requirements-dev.lock --no-annotate $(UPGRADE) --extra drift --output-file requirements-drift.lock
	$(BIN)/python -m tests.real_parts.report --lock
	$(COMPILE) --constraint requirements.lock --constraint tests/real_parts/report.txt --no-annotate $(UPGRADE) \
		--extra drift --extra report --output-file requirements-report.lock

clean: ## Remove the environment, the fetched programs and every cache
	rm -rf $(VENV) .tools .coverage .coverage.* htmlcov dist build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Warpwatch needs Python 3.11 or newer, and $(PYTHON) is not one" \
	    "($$($(PYTHON) --version 2>&1 | head -n 1)). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: install its venv package" \
	    "(Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.made
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.made
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps --editable .
	@touch $@ $(VENV)/.runtime
