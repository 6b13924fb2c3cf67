# Two commands do everything, from a fresh clone, without activating anything:
#
#   make reproduce   run the laptop profile: every table and figure, in outputs/laptop/report.html
#   make test        notebooks, smoke profile and tests
#
# Both set up .venv first, with the versions in requirements.lock; a second call installs nothing.
# Choose the interpreter with PYTHON=/path/to/python3.11. The number of threads is `threads` in a profile.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHELL := /bin/bash
BIN := .venv/bin
# A mark is written last, so that an interrupted installation does not count as done.
LOCKED := .venv/.lock-installed
READY := .venv/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help reproduce test smoke export readme clean distclean

help:
	@sed -n '2,9s/^# \{0,1\}//p' Makefile
	@echo "make smoke     the whole chain in small";     echo "make export    notebooks to package and README"
	@echo "make clean     remove what runs left, except committed results";  echo "make distclean also remove .venv"

reproduce: $(READY)
	$(BIN)/codedpo-run --profile laptop

smoke: $(READY)
	$(BIN)/codedpo-run --profile smoke

# All three run, whatever the first ones say; pytest comes last, so that its summary closes the output.
test: $(READY)
	@failed=""; \
	echo "make test: the cells of all notebooks"; $(BIN)/nbdev-test --n-workers 2 || failed="$$failed nbdev-test"; \
	echo "make test: smoke profile"; $(BIN)/codedpo-run --profile smoke || failed="$$failed smoke"; \
	echo "make test: pytest"; $(BIN)/python -m pytest || failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed" >&2; exit 1; fi

export: $(READY)
	$(BIN)/nbdev-export
	$(BIN)/nbdev-clean
	$(BIN)/python -c "from codedpo_nb.running.report import readme; readme()"

readme: export

$(LOCKED): requirements.lock
	@test -n "$(PYTHON)" || { echo "make: no Python found; install Python 3.11, or give it as PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is $$("$(PYTHON)" --version 2>&1), but Python 3.11 is needed; give it as PYTHON=/path/to/python3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	@echo "make: installing the packages of requirements.lock into .venv; this takes a few minutes, once"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@touch $@

$(READY): $(LOCKED) settings.ini setup.py pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf outputs/*/artefacts outputs/smoke outputs/by-hand build dist *.egg-info .pytest_cache .hypothesis _proc
	find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean
	rm -rf .venv
