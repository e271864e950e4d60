# Everything a developer of Sojourn types. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := journeys storage channels activities workflows api cli tests bench settings.py

.PHONY: help install dev test browser bench check apply sandbox lint docs format

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## make .venv from requirements-dev.lock (dev and test do it by themselves)

# The stamp is younger than the lock exactly when the environment holds what the lock names.
$(VENV)/installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sojourn needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements-dev.lock names (minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

dev: $(VENV)/installed ## start everything here, in the foreground; FAST=1 makes a day pass in ten seconds
	@$(BIN)/sojourn dev $(if $(FAST),--fast)

test: lint browser ## everything that CI runs
	$(BIN)/pytest -n 2 --dist worksteal
	PYTHONHASHSEED=4711 SOJOURN_TEST_MAX_CACHED=0 SOJOURN_CHANGE_PEOPLE=100 SOJOURN_TREE_CASES=20 $(BIN)/pytest -q -n 2 --dist worksteal tests/workflows

# The pages for people without a login are tested in a real browser. Named by SOJOURN_TEST_CHROMIUM, or found, or Debian's.
browser: ## have a Chromium for the tests of pages
	@test -n "$$SOJOURN_TEST_CHROMIUM" || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "Installing Debian's chromium for the tests of pages" && apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium; \
	else \
		echo "The tests of pages need Chromium: install it (Debian, Ubuntu: sudo apt-get install chromium), or name one in SOJOURN_TEST_CHROMIUM" >&2; \
		exit 1; \
	fi

bench: $(VENV)/installed ## run the benchmark bench/NAME.py alone: make bench NAME=ingest; options: make bench NAME=delivery-smtp ARGS=--profile
	@test -n "$(NAME)" || { echo "Which one? make bench NAME=x, where x is one of: $$(grep -l '^def main' bench/*.py | xargs -n 1 basename | sed 's/\.py$$//' | tr '_\n' '- ')"; exit 2; }
	@test -f bench/$(subst -,_,$(NAME)).py || { echo "There is no benchmark $(NAME)"; exit 2; }
	@$(BIN)/python -m bench.$(subst -,_,$(NAME)) $(ARGS)

check: $(VENV)/installed ## check the journeys and templates of this house
	@$(BIN)/sojourn check

apply: $(VENV)/installed ## publish the journeys and templates of this house to the running Sojourn
	@$(BIN)/sojourn apply

sandbox: $(VENV)/installed ## show what would have left on every channel
	@$(BIN)/sojourn sandbox

lint: $(VENV)/installed ## style, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed ## write the pages that are made from the code
	@$(BIN)/python -m cli.settings_page && $(BIN)/python -m cli.reasons_page

format: $(VENV)/installed ## write the sources in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
