PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
READY  := $(VENV)/.ready

.PHONY: demo test fast lint docs clean

demo: $(READY)            ## track a rendered clip with known truth into outputs/demo/
	$(BIN)/vjepa-tracker demo --out outputs/demo

test: $(READY)            ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

fast: $(READY)            ## the tests that take no time, while you work
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m fast

lint: $(READY)            ## style, docstrings, annotations and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)            ## the site, into site/; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# torch first: the pin takes a CPU build where pip knows one, before anything else asks for torch.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is too old; give PYTHON=python3.11 or newer" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "error: cannot make a virtual environment; try: apt install python3-venv" >&2; exit 2; }
	@echo "installing into $(VENV) (a few minutes the first time)"
	@$(PIP) install -c constraints.txt torch==2.13.0
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(READY)

clean:
	rm -rf $(VENV) outputs site
