# `make demo` and `make test` set up all they need, in .venv, from whatever index pip is configured for.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint docs clean
.DEFAULT_GOAL := demo

demo: .venv/.run
	@$(BIN)/brainloop demo

test: .venv/.dev lint
	$(BIN)/pytest

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/.dev
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html

clean:
	rm -rf .venv demo docs/_build .pytest_cache .mypy_cache .ruff_cache

.venv/.run: pyproject.toml constraints.txt
	@echo "Installing brainloop into .venv: about a minute."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -q -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/.run
	@echo "Installing what tests and documentation need: about a minute."
	@$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@
