# Two commands do everything, from a fresh clone, without activating anything:
#
#   make reproduce   run the laptop profile: every table and figure, in outputs/laptop/report.html
#   make test        checks of the source, notebooks, smoke profile and tests
#
# Both set up .venv first, with the versions in requirements.lock; a second call installs nothing.
# Any python3 from 3.11 on will do; choose one with PYTHON=/path/to/python3. The number of threads is `threads` in a profile.

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first that really starts: a shim of pyenv may be there and start nothing.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && "$$p" -c 'import sys; print(sys.executable)' && break; done)
SHELL := /bin/bash
BIN := .venv/bin
# A mark is written last, so that an interrupted installation does not count as done.
LOCKED := .venv/.lock-installed
READY := .venv/.ready

# What must hold on every Python: sandbox, rankers, clock, statistics, formats, and the wheel. No torch, no notebooks.
MUSEUM := museum_cheats museum_right
LIGHT := $(wildcard $(patsubst %,tests/test_%.py,install together sandbox $(MUSEUM) answers \
	ranking pairs selfverify statistics efficiency formats))
LIGHT_BIN = .venv-light/$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])')/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install reproduce test test-light lint smoke export readme clean distclean python

help:
	@sed -n '2,9s/^# \{0,1\}//p' Makefile
	@echo "make install     set up .venv and nothing else"
	@echo "make smoke       the whole chain in small";     echo "make export      notebooks to package and README"
	@echo "make lint        ruff, and mypy over the public doors"
	@echo "make test-light  tests of what needs neither torch nor notebooks, with PYTHON=...";
	@echo "make clean       remove what runs left, except committed results";  echo "make distclean   also remove .venv"

install: $(READY)

reproduce: $(READY)
	$(BIN)/codedpo-run --profile laptop

smoke: $(READY)
	$(BIN)/codedpo-run --profile smoke

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/mypy

# All run, whatever the first ones say; pytest comes last, so that its summary closes the output.
test: $(READY)
	@failed=""; $(BIN)/python --version; \
	echo "make test: ruff and mypy, after $$SECONDS s"; $(BIN)/ruff check --quiet || failed="$$failed ruff"; $(BIN)/mypy || failed="$$failed mypy"; \
	echo "make test: the cells of all notebooks, after $$SECONDS s"; $(BIN)/nbdev-test --n-workers 2 || failed="$$failed nbdev-test"; \
	echo "make test: smoke profile, after $$SECONDS s"; $(BIN)/codedpo-run --profile smoke || failed="$$failed smoke"; \
	echo "make test: pytest, after $$SECONDS s"; $(BIN)/python -m pytest -n 2 --dist loadfile || failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed" >&2; exit 1; fi

# In an environment of its own for each Python, with what `pip install codedpo_nb[test]` brings.
test-light: python
	@bin=$(LIGHT_BIN); "$(PYTHON)" --version; \
	if [ ! -e $$bin/.ready ] || [ -n "$$(find requirements.lock settings.ini setup.py -newer $$bin/.ready)" ]; then \
	  "$(PYTHON)" -m venv --clear $${bin%/bin} && \
	  $$bin/python -m pip install --quiet --constraint requirements.lock setuptools && \
	  $$bin/python -m pip install --quiet --constraint requirements.lock --no-build-isolation --editable '.[test]' && \
	  touch $$bin/.ready || exit 1; \
	fi; $$bin/python -m pytest -m "not long" $(LIGHT)

export: $(READY)
	$(BIN)/nbdev-export
	$(BIN)/nbdev-clean
	$(BIN)/python -c "from codedpo_nb.running.report import readme; readme()"

readme: export

python:
	@test -n "$(PYTHON)" || { echo "make: no Python from 3.11 on was found; install one, or give it as PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' || { echo "make: $(PYTHON) is $$("$(PYTHON)" --version 2>&1 | tail -1)," \
	  "but Python 3.11 or later is needed; give it as PYTHON=/path/to/python3" >&2; exit 1; }

$(LOCKED): requirements.lock | python
	"$(PYTHON)" -m venv --clear .venv
	@echo "make: installing the packages of requirements.lock into .venv; this takes a few minutes, once"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@touch $@

$(READY): $(LOCKED) settings.ini setup.py pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf outputs/*/artefacts outputs/smoke outputs/by-hand build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache _proc
	find . \( -path ./.venv -o -path ./.venv-light \) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean
	rm -rf .venv .venv-light
