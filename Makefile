# Every target makes its own .venv from pyproject.toml and constraints.txt, and is quick when nothing changed.
# A distribution builds its Python with profiles of its use; pyenv does not, and what it builds is a quarter slower.
PYTHON ?= $(shell for each in /usr/bin/python3 python3; do $$each -c "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && break; done; echo $$each)
BIN := .venv/bin
READY := .venv/.ready
BENCH ?= ingest

WORKERS ?= 4

.PHONY: demo test check lint bench format constraints clean

demo: $(READY)
	$(BIN)/footfall demo

# Tests wait for a server or a process half of the time: twice as many workers as a machine of two
# processors has keep it busy. They start Python a thousand times: bytecode is kept, whatever the shell says.
test check: export PYTHONDONTWRITEBYTECODE =
test: $(READY)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

# Lint, and of the rooms that changed and those built on them the tests that are quick (tests/conftest.py).
check: lint
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --quiet -m "not thorough" $$($(BIN)/python tests/changed.py)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy grafana/dashboards.py grafana/alerts.py docker/traffic.py
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python bench $(BENCH)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Names and versions only: no address of any package index may stand in the repository.
constraints:
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/pip install --quiet '.[dev]' hatchling editables
	.venv-constraints/bin/pip freeze --exclude footfall --exclude pip --exclude setuptools > constraints.txt
	rm -rf .venv-constraints

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Footfall needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12")'
	@echo "Making .venv (about a minute, once) ..."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv .venv-constraints .mypy_cache .ruff_cache .pytest_cache
