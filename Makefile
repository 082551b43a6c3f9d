# make demo · make test · make lint · make docs · make bench · make load · make mutants
# Two environments, so that the demo shows what a user installs: .venv has no PyTorch, .venv-dev has all.

PYTHON ?= python3
VENV   ?= .venv
DEV    ?= .venv-dev

.PHONY: demo test lint docs bench load mutants clean

demo: $(VENV)/.installed
	$(VENV)/bin/spiralage demo --output demo

test: $(DEV)/.installed
	$(DEV)/bin/python -m pytest -q
	$(DEV)/bin/ruff check src tests benchmarks docs
	$(DEV)/bin/ruff format --check src tests benchmarks docs
	$(DEV)/bin/mypy

lint: $(DEV)/.installed
	$(DEV)/bin/ruff check --fix src tests benchmarks docs
	$(DEV)/bin/ruff format src tests benchmarks docs
	$(DEV)/bin/mypy

docs: $(DEV)/.installed
	$(DEV)/bin/mkdocs build --strict --site-dir site

load: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/serve.py

bench: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/spiral.py
	$(DEV)/bin/python benchmarks/paper_sizes.py
	$(DEV)/bin/python benchmarks/photos.py

mutants: $(DEV)/.installed
	$(DEV)/bin/python benchmarks/mutants.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $@

$(DEV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,train,fast,web,docs,dev,parquet]'
	$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps face-alignment==1.5.0
	touch $@

clean:
	rm -rf $(VENV) $(DEV) demo site
