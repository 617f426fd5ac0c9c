# Two commands do everything; VENV and PYTHON can be set: make test PYTHON=python3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install reproduce test slow recipe rate

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[synthetic,audio,test,lint]'
	touch $@

install: $(INSTALLED)  ## make a virtual environment with pinned versions

reproduce: $(INSTALLED)  ## rebuild whatever is out of date, then show the metrics and where the plots are
	$(BIN)/python -m stages.mend
	PATH="$(BIN):$$PATH" dvc repro
	$(BIN)/dvc metrics diff --all
	$(BIN)/dvc plots show

test: $(INSTALLED)  ## style, types and tests: what CI runs
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -m "not slow"

slow: $(INSTALLED)  ## the tests that take minutes
	PATH="$(BIN):$$PATH" $(BIN)/python -m pytest -m slow

recipe: $(INSTALLED)  ## run a named recipe: make recipe NAME=course
	PATH="$(BIN):$$PATH" dvc exp run $$($(BIN)/python -m phonemes.recipes $(NAME))

rate: $(INSTALLED)  ## find a learning rate for params.yaml: the loss over rising rates, as a page
	$(BIN)/python -m stages.rate
	$(BIN)/dvc plots show metrics/rate.csv --template rate -x lr -y smoothed \
		--title "Learning-rate range test" --x-label "learning rate" --y-label "nats per frame"
