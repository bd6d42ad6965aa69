# Every target sets up what it needs first; when nothing is missing that takes a few milliseconds.
# Arguments for the program behind a target: make chat ARGS='--once "what time is it"'
PYTHON_BIN := .venv/bin/python
ARGS ?=
# One more than there are processors: many tests wait for processes and servers.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Tests are rewritten by pytest when they are first imported, which is to be kept for the next run.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help chat run test test-long test-exhaustive check bench chaos soak setup lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

chat: ## Talk to Rekku in this terminal, or through a pipe
	@bash scripts/setup.sh runtime
	@exec $(PYTHON_BIN) main.py chat $(ARGS)

run: ## Serve every configured interface until it is told to stop
	@bash scripts/setup.sh runtime
	@exec $(PYTHON_BIN) main.py run $(ARGS)

test: ## Run the tests, but those that take long
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long and not exhaustive" $(ARGS)

test-long: ## Run the tests that take long: processes that are killed, database servers, every way in
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "long and not exhaustive" $(ARGS)

test-exhaustive: ## Run the tests that take very long: before a release, and after work on what they are about
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m exhaustive $(ARGS)

check: ## Lint, formatting, types, layers, and whether the lock file is followed
	@bash scripts/setup.sh dev
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m mypy
	.venv/bin/lint-imports --config .importlinter --no-logo
	bash scripts/lock.sh --check

bench: ## Measure turns
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m benchmarks.turns $(ARGS)

chaos: ## Kill, end and cut off under load on every database that is installed, and count what was lost or repeated
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m benchmarks.promises $(ARGS)

soak: ## A long run at a high rate: whether memory, tasks, threads and descriptors stay flat
	@bash scripts/setup.sh dev
	@exec $(PYTHON_BIN) -m benchmarks.soak $(ARGS)

setup: ## Set up everything, development tools included
	@bash scripts/setup.sh dev

lock: ## Resolve pyproject.toml anew and export the requirements (ARGS=--upgrade for newer versions)
	@bash scripts/setup.sh dev
	@bash scripts/lock.sh $(ARGS)

clean: ## Remove the environment and every cache; your data in REKKU_HOME stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
