# Every target makes what it needs, the environment included: a fresh clone needs only `make <target>`.
# .ci/run calls these targets and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Every daemon, worker and command of a test is an interpreter of its own: where this is set in the
# environment, each of them compiles all sources again, which is half of its start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# More than there are cores: process tests wait most of the time, and meet each other's load.
WORKERS ?= 4
ROUNDS ?= 20
BENCH ?=
RECORD ?=
KILL ?=
EVIDENCE ?=

# Written last, so that an installation that was cut short is begun again.
READY := .venv/.installed
CELERY_READY := .venv/.installed-celery
FRAMEWORKS_READY := .venv/.installed-frameworks
PYRIGHT_READY := .venv/.installed-pyright

# Each test is in one of the two, never in both: tests/conftest.py marks what lies in tests/faults.
SLOW := slow or celery or fault
PROCESS_TESTS := $(wildcard $(addprefix tests/,integration e2e faults))
CHECKED := $(wildcard jobctl tests benchmarks examples supervisor)

.PHONY: help setup demo run test test-slow flaky kill restarts kill-beat lint types layers docs pages deb bench bench-smoke bench-guard

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(READY)  ## make .venv; again only when pyproject.toml changed

$(READY): pyproject.toml
	@python=''; \
	for name in python3 python3.13 python3.12 python3.11; do \
	  if "$$name" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python="$$name"; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "make setup: no python3 >= 3.11 with venv on PATH (Debian: apt-get install python3-venv)" >&2; \
	  exit 1; \
	fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,solar]'
	@touch $@

$(CELERY_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[celery]'
	@touch $@

$(FRAMEWORKS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[frameworks]'
	@touch $@

$(PYRIGHT_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[pyright]'
	@touch $@

demo: $(READY)  ## a daemon of its own, a few jobs, and what became of them
	$(BIN)/python examples/demo.py

run: $(READY)  ## the daemon in the foreground, with conf.example.toml
	$(BIN)/jobctl --config conf.example.toml daemon

test: $(READY)  ## the quick tests
	$(PYTEST) -n $(WORKERS) --dist worksteal -m 'not ($(SLOW))'

test-slow: $(CELERY_READY) $(FRAMEWORKS_READY) $(PYRIGHT_READY)  ## every test that `make test` leaves out
	$(PYTEST) -n $(WORKERS) --dist worksteal -m '$(SLOW)'

flaky: $(FRAMEWORKS_READY) $(PYRIGHT_READY)  ## the process tests ROUNDS times in random order; the first failure ends it
	@for ((round = 1; round <= $(ROUNDS); round++)); do \
	  seed=$${SEED:-$$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}; \
	  echo "flaky: round $$round of $(ROUNDS), seed $$seed"; \
	  $(PYTEST) -p randomly --randomly-seed="$$seed" -x -n $(WORKERS) --dist worksteal -m 'not celery' $(PROCESS_TESTS) || { \
	    echo "flaky: failed in round $$round; again with: make flaky ROUNDS=1 SEED=$$seed" >&2; exit 1; }; \
	done

kill: $(READY)  ## kill the daemon 200 times under 5,000 jobs; KILL='--seed N' plays a run again
	$(BIN)/python -m tests.faults.kill_daemon $(KILL)

restarts: $(FRAMEWORKS_READY)  ## restart the daemon 20 times under a pre-forking web server that submits
	$(BIN)/python -m tests.faults.restart_daemon

kill-beat: $(READY)  ## kill the daemon 200 times around ticks; KILL='--seed N' plays a run again
	$(BIN)/python -m tests.faults.kill_beat $(KILL)

evidence: $(READY)  ## run every trial in full and write what they counted; EVIDENCE='--part 0.05' for less
	$(BIN)/python -m tests.faults.evidence $(EVIDENCE)

lint: $(READY)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy $(CHECKED)

layers: $(READY)  ## who may import whom
	$(BIN)/lint-imports

docs: $(READY)  ## the manual and the examples in docstrings
	$(PYTEST) tests/docs

# Each in a file of its own first: a maker that fails leaves the page as it was.
pages: $(READY)  ## the pages and tables that are made from the commands and keys
	@make_page() { $(BIN)/python -m "$$1" > "$$2.new" && mv "$$2.new" "$$2" || { rm -f "$$2.new"; exit 1; }; }; \
	make_page jobctl.cli.manual docs/reference/commands.md; \
	make_page jobctl.config.reference docs/reference/configuration.md; \
	make_page jobctl.cli.completion_maker jobctl/cli/completion.json; \
	make_page jobctl.cli.man man/jobctl.1; \
	make_page jobctl.config.man man/jobctl.toml.5

deb: $(READY)  ## a Debian package in dist/
	packaging/build-deb

bench: $(READY)  ## the budgets, side by side with peers; BENCH='name …' for some of them
	$(BIN)/python -m benchmarks $(BENCH)

bench-smoke: $(READY)  ## each bench once and short, so that it keeps working
	$(BIN)/python -m benchmarks --smoke

bench-guard: $(READY)  ## has the hot path become dearer, in instructions? RECORD=1 makes that the record
	$(BIN)/python -m benchmarks.guard $(if $(RECORD),--record)
