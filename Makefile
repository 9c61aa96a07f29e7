# Every command that a developer needs; `make help` lists them.

DATA ?= data
BIN := .venv/bin
# Compiled once, whatever the environment says: the tests start the service hundreds of times.
export PYTHONDONTWRITEBYTECODE :=
# Passed on: `make test ARGS="-k vault"`.
ARGS ?=
# Tests wait most of their time, so a whole run has three processes for each core.
WORKERS ?= $(shell expr 3 '*' "$$(nproc)")
SPREAD = $(if $(ARGS),,--numprocesses $(WORKERS) --dist worksteal)

.DEFAULT_GOAL := help
.PHONY: help serve demo console test coverage check format lint types imports proof bench commctl.pyz screenshots requirements \
    install clean dist

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

serve: ## Serve on 127.0.0.1:8000 from ./data (DATA=… for another directory, ARGS=… for flags)
	@.ci/venv
	@[ -d "$(DATA)" ] || (umask 077 && mkdir -p "$(DATA)")
	@exec $(BIN)/commissaire serve --data "$(DATA)" $(ARGS)

demo: ## Five hosts become active and are restarted, though the service is killed
	@.ci/venv
	@.ci/packages $$(sed 's/#.*//' tests/fleet/packages.txt)
	@$(BIN)/python -m tests.fleet $(ARGS)

test: tools ## Run the tests, against a real sshd and a real PostgreSQL (ARGS=… for pytest)
	@$(BIN)/python -m pytest $(SPREAD) $(ARGS)

coverage: tools ## The same, and which lines they reach: CI runs this, and there is a floor
	@$(BIN)/python -m pytest $(SPREAD) --cov --cov-report=term $(ARGS)

check: format-is-right lint types imports test ## All that a change must pass

format: install ## Write the code in the one format
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix --exit-zero --quiet

lint: install ## Look for mistakes that a reader of one file can see
	@$(BIN)/ruff check

types: install ## Check the types, strictly
	@$(BIN)/mypy

imports: install ## Check that imports point down: runners, web, projections, domain
	@$(BIN)/lint-imports --no-logo

proof: tools ## Run the long tests: faults and many seeds
	@$(BIN)/python -m pytest -m proof -o faulthandler_timeout=1800 $(ARGS)

commctl.pyz: ## Build the operators' command line as one file, for Python 3.11 to 3.13
	@.ci/venv
	@.ci/pyz $(ARGS)

dist: install ## Build wheel, sdist, commctl.pyz, packages for Debian and an image into ./dist, with lists of their parts
	-@.ci/console
	@.ci/dist

bench: tools ## Measure against the bare parts (ARGS="--quick", ARGS="--only host", …)
	@.ci/packages $$(sed 's/#.*//' bench/packages.txt)
	@$(BIN)/python -m bench $(ARGS)

console: install ## Fetch the scripts that make pages live, by the lock file (npm)
	@.ci/console

screenshots: tools ## Take pictures of all pages of the console into ./screenshots (ARGS="--hosts 10 --only now")
	@$(BIN)/python -m tests.web.console.screenshots $(ARGS)

requirements: install ## Pin all packages anew, with hashes (ARGS=--upgrade for newer ones)
	@.ci/requirements $(ARGS)

install: ## Make .venv with what developing needs
	@.ci/venv --dev

clean: ## Remove what these commands made, but never your data
	@rm -rf .venv .venv-ansible .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache \
	    .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What make calls for itself.
.PHONY: tools format-is-right
tools: install
	-@.ci/console
	@.ci/packages $$(sed 's/#.*//' tests/packages.txt)

format-is-right: install
	@$(BIN)/ruff format --check
