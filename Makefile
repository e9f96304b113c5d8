# `make demo` measures a simulated fan; `make demo RECORDING=path` measures your own recording.
PYTHON ?= python3
# Adds the package built into .venv to a sourced ROS 2 environment, if there is one.
RUN = if [ -f .venv/local_setup.sh ]; then . .venv/local_setup.sh; fi; PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: help setup demo test bench configuration clean

help:
	@echo "make setup                  create .venv with ROS 2 and the built package"
	@echo "make demo                   simulate a fan and measure it with ROS 2 nodes"
	@echo "make demo RECORDING=path    measure your own recording"
	@echo "make demo WEB=1             play it over and over, and show it in a browser"
	@echo "make test                   style, types, build, unit and node tests"
	@echo "make bench                  speed and accuracy figures"
	@echo "make configuration          regenerate config/evio.yaml, docs/parameters.md, docs/nodes.md and docs/launch.md"
	@echo "make clean                  remove everything that make created"

setup:
	@$(PYTHON) tools/setup_environment.py

demo: setup
	@$(RUN); evio demo $(if $(RECORDING),"$(RECORDING)") $(if $(WEB),--web)

test: setup
	@$(RUN); ruff check .
	@$(RUN); ruff format --check .
	@$(RUN); mypy
	@$(RUN); python -m pytest $(PYTEST_ARGS)

bench: setup
	@$(RUN); for script in bench/*.py; do echo "== $$script"; python $$script || exit 1; done

configuration: setup
	@$(RUN); python tools/generate_configuration.py

clean:
	rm -rf .venv build install log out
