PYTHON ?= python3
BIN := .venv/bin
SAMPLE := demo-out/astronaut

.PHONY: help demo test check dev env format

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo:  ## fresh environment; encode, decode and compare a sample photo
	rm -rf demo-out && $(PYTHON) -m venv demo-out/venv
	demo-out/venv/bin/pip install --quiet '.[demo]'
	rm -rf build
	demo-out/venv/bin/python -c "import shutil, skimage; shutil.copy(skimage.data_dir + '/astronaut.png', '$(SAMPLE).png')"
	demo-out/venv/bin/nicodec encode $(SAMPLE).png $(SAMPLE).nic
	demo-out/venv/bin/nicodec decode $(SAMPLE).nic $(SAMPLE)-restored.png
	demo-out/venv/bin/nicodec info $(SAMPLE).nic
	demo-out/venv/bin/nicodec compare $(SAMPLE).png $(SAMPLE).nic
	demo-out/venv/bin/nicodec msssim $(SAMPLE).png $(SAMPLE)-restored.png

env:
	rm -rf .venv && $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet '.[dev,train]'
	rm -rf build

test: env  ## fresh environment, install, all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

$(BIN)/ruff:
	$(MAKE) env

check: $(BIN)/ruff  ## lint, format, types and doctests
	rm -rf build && mkdir -p .link && ln -sfn .. .link/nicodec
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd .link && ../$(BIN)/mypy --config-file ../setup.cfg --python-executable ../$(BIN)/python -p nicodec
	$(BIN)/pyright --pythonpath $(BIN)/python
	PYTHONPATH=.link $(BIN)/python -m pytest -q tests/test_doctests.py

format:  ## rewrite the sources in the house style
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

dev:  ## editable install into the current environment
	$(PYTHON) -m pip install -e '.[dev,train]'
	mkdir -p .link && ln -sfn .. .link/nicodec
