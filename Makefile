# `make help` lists the commands. VENV is a folder of its own here, made and filled when it is
# needed; an environment that is already there is used by:  make test PYTHON=python VENV=
PYTHON ?= python3
VENV ?= .venv
# The stages are run as `python`: PATH begins with the folder of the one that runs DVC.
ifeq ($(VENV),)
READY :=
PY := $(PYTHON)
BIN := $(shell $(PYTHON) -c 'import os, sys; print(os.path.dirname(sys.executable))')
else
READY := $(VENV)/.installed
PY := $(VENV)/bin/python
BIN := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin
endif
export PATH := $(BIN):$(PATH)
TESTS := -n auto --dist loadfile

.PHONY: help install reproduce compare back style check test slow recipe rate docs links

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[synthetic,audio,align,export,search,test,lint,docs]'
	@touch $@

install: $(READY)  ## make a virtual environment with pinned versions
	@echo "next: $(if $(VENV),source $(VENV)/bin/activate; )phonemes --help"

reproduce: $(READY)  ## rebuild whatever is out of date; scores, whether they are the commit's, and plots
	$(PY) -m phonemes repair
	$(PY) -m dvc repro
	@echo
	@$(PY) -m phonemes summary
	@$(PY) -m dvc plots show

compare: $(READY)  ## a table of the experiments: accuracies, and what each changed
	$(PY) -m phonemes compare

back: $(READY)  ## from an experiment back to the parameters and results of the last commit
	git restore --staged --worktree params.yaml dvc.lock metrics
	$(PY) -m dvc checkout --allow-missing --force dvc.yaml

style: $(READY)
	$(PY) -m ruff format --check . && $(PY) -m ruff check . && $(PY) -m mypy

check: style  ## style, types and the fast tests: under 3 minutes
	$(PY) -m pytest $(TESTS) -m "not heavy and not slow"

test: style  ## style, types and all tests but the slow ones: what CI runs, 18 minutes
	$(PY) -m pytest $(TESTS) -m "not slow"

slow: $(READY)  ## the tests that take minutes
	$(PY) -m pytest -m slow

recipe: $(READY)  ## run a named recipe: make recipe NAME=course
	arguments=$$($(PY) -m phonemes recipe $(NAME)) && $(PY) -m dvc exp run $$arguments

rate: $(READY)  ## find a learning rate for params.yaml: the loss over rising rates, as a page
	$(PY) -m phonemes rate
	$(PY) -m dvc plots show metrics/rate.csv --template rate -x lr -y smoothed \
		--title "Learning-rate range test: each step, and smoothed" --x-label "learning rate" --y-label "nats per frame"

docs: $(READY)  ## the documentation as a site, build/site/index.html; a broken link is an error
	$(PY) -m docs.generate
	$(PY) -m sphinx -q -W --keep-going -b html -c docs . build/site

links: $(READY)  ## look whether the pages of others that the documentation links to are there
	$(PY) -m sphinx -q -W --keep-going -b linkcheck -c docs . build/links
