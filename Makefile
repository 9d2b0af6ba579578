# The project's chores. `make test` and `make demo` need Python 3.11 or newer and make, nothing else:
# they put a virtual environment into $(VENV) and install what pyproject.toml asks for.
#
#   make test ARGS='-k axes'        options for pytest
#   make test PYTHON=python3.13     which Python makes the environment
#   make test VENV=/somewhere       where the environment is
#   make test WORKERS=8             how many processes run tests, 2 to 3 GiB each

VENV ?= .venv
ARGS ?=
WORKERS ?= 2

BIN := $(abspath $(VENV))/bin
RUN := PATH="$(BIN):$$PATH"

CANDIDATES := python3 python3.13 python3.12 python3.11 python3.14 python
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(shell $(p) -c "$(USABLE)" 2>/dev/null && echo $(p))))

.DEFAULT_GOAL := help
.PHONY: help demo test lit types lint format docs stubs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed-examples  ## fine-tune a part of MiniLM and compare each step with PyTorch
	@$(RUN) python examples/minilm_docstrings/demo.py $(ARGS)

test: $(VENV)/.installed-test  ## run all tests, some files at a time
	@$(RUN) python -m pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lit: $(VENV)/.installed-test  ## run the FileCheck tests alone, showing what failed
	@$(RUN) lit -v tests/lit $(ARGS)

types: $(VENV)/.installed-dev  ## check types, and that the type check can fail
	@$(RUN) python tools/check_types.py

lint: $(VENV)/.installed-dev  ## check style
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

format: $(VENV)/.installed-dev  ## mend style where that can be done mechanically
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

docs: $(VENV)/.installed-test  ## regenerate docs/reference/ from the sources
	@$(RUN) python tools/gen_docs.py

stubs: $(VENV)/.installed-dev  ## regenerate typings/ after the torch-mlir wheel changed
	@$(RUN) python tools/gen_stubs.py

clean:  ## remove what the tools leave behind, and build/; keeps $(VENV)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis plan.mlir plan.safetensors
	find compiler dialects runtime hwmodel examples tests tools \
	    -name __pycache__ -o -name Output -type d | xargs rm -rf

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer with the venv module;" \
	    "install one or say which: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

# Editable, so that it is repeated only when the dependencies may have changed.
$(VENV)/.installed-%: pyproject.toml | $(VENV)/bin/python
	@echo "installing ssft[$*] into $(VENV) (the first time, torch alone takes minutes)"
	@$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
