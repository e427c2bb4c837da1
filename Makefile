.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# What is installed, by hash; a changed lock or project file installs again.
INSTALLED := $(VENV)/installed
DEMO := var/demo
# The demo trains one booster and one network, on fewer rows, and the latter for half as long.
QUICK := SALES_TRAINING_ROWS=120000 SALES_LIGHTGBM__SEEDS=1 SALES_LSTM__SEEDS=1 \
	SALES_LSTM__WINDOWS=6000 SALES_LSTM__EPOCHS=4 SALES_LSTM__LAST_EPOCHS=1

.PHONY: help setup demo test lint check dev serve bench lock

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(INSTALLED) ## Create .venv and install what requirements.lock names

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) was not found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
		echo "Python 3.11 to 3.13 is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another one by 'make PYTHON=python3.12'." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the locked packages into $(VENV); this takes a minute or more the first time."
	@# The lock names everything, so that there is nothing to resolve. uv unpacks it by all cores,
	@# in a fraction of pip's time; pip goes where only pip was told the way, to a mirror say.
	@awk '/^[^ ]/ { wanted = /^uv==/ } wanted' requirements.lock > $(VENV)/uv.lock
	@$(PIP) --no-compile --require-hashes --requirement $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --requirement requirements.lock || { \
		echo "uv could not install them; pip tries."; \
		$(PIP) --no-compile --require-hashes --requirement requirements.lock; }
	@# By all cores; what cannot be compiled is left, as by pip, and packages' own tests.
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@$(PIP) --no-build-isolation --editable .
	@touch $@

demo: setup ## Make sample data, refresh everything, show the scores
	@$(BIN)/sales sample $(DEMO)/source --stores 60 --days 942 --seed 1
	@$(QUICK) $(BIN)/sales refresh --home $(DEMO) --source $(DEMO)/source
	@echo
	@echo "Look at it:  make dev                                     the graph in the Dagster UI"
	@echo "             .venv/bin/sales forecast --home $(DEMO) --store 1"
	@echo "             .venv/bin/sales insights --home $(DEMO)"
	@echo "             $(DEMO)/reports/insights.html               what drives sales, in pictures"

test: setup ## Run the tests, three files at a time
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: setup ## Check format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

check: lint test ## Lint and test, as CI does

dev: setup ## Open the Dagster UI on port 3000
	@$(if $(wildcard $(DEMO)/warehouse.duckdb),$(QUICK) $(BIN)/sales dev --home $(DEMO),$(BIN)/sales dev --home var)

serve: setup ## Answer over HTTP on port 8000
	@$(BIN)/sales serve --home $(if $(wildcard $(DEMO)/serving/release.json),$(DEMO),var)

bench: setup ## Measure a full-size refresh, features, insights and checks, other sizes, eight weeks, the LSTM's answers, every model beside others, new stores, the service
	@$(BIN)/python -m benchmarks.refresh
	@echo
	@$(BIN)/python -m benchmarks.features
	@echo
	@$(BIN)/python -m benchmarks.scaling
	@echo
	@$(BIN)/python -m benchmarks.insights
	@echo
	@$(BIN)/python -m benchmarks.checks
	@echo
	@$(BIN)/python -m benchmarks.rehearsal --chart var/weeks.png
	@echo
	@$(BIN)/python -m benchmarks.lstm_latency
	@echo
	@$(BIN)/python -m benchmarks.accuracy
	@echo
	@$(BIN)/python -m benchmarks.new_stores
	@echo
	@$(BIN)/python -m benchmarks.serving --home $(if $(wildcard $(DEMO)/serving/release.json),$(DEMO),var)

lock: setup ## Resolve requirements.lock anew
	@$(BIN)/uv pip compile pyproject.toml --extra dev --extra bench --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-header --no-annotate --output-file requirements.lock
