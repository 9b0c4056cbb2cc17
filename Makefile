# The doors of the project. `make help` lists them.
PRESET ?= offline
SET ?=
VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Byte code is kept: without it TensorFlow, Keras and TFX import three times slower.
unexport PYTHONDONTWRITEBYTECODE
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run test slow check format bench notebooks docs compile space lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the locked packages into .venv (all other targets do it first)
	@requirements/setup.sh

run: setup ## Run the pipeline on this machine: PRESET=offline, SET="--set key=value"
	@$(VENV)/python local_runner.py run --preset $(PRESET) $(SET)

test: setup ## Run the tests but for the slow ones
	@$(PYTEST) -m "not slow"

slow: setup ## Run the slow tests: the packaged Gemma, whole runs, notebooks
	@$(PYTEST) -m slow

check: setup ## Lint, format, types and import rules
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports

compile: PRESET := vertex
compile: setup ## Compile the pipeline for Vertex AI Pipelines into output/vertex: SET="--set key=value"
	@$(VENV)/python kubeflow_runner.py compile --preset $(PRESET) $(SET)

bench: setup ## Run the benchmarks into benchmarks/RESULTS.md: NAMES="quota dedup"
	@$(VENV)/python -m benchmarks $(NAMES)

notebooks: setup ## Run the notebooks and render them into docs/notebooks
	@$(VENV)/python -m notebooks.render

docs: setup ## Draw the DAG and build the documentation into output/site; a broken link fails
	@$(VENV)/python -m docs.dag
	@$(VENV)/mkdocs build --quiet

space: setup ## Serve the application with the best local model
	@$(VENV)/python local_runner.py space --preset $(PRESET) $(SET)

format: setup ## Format the code
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

lock: ## Make the locks again from pyproject.toml and requirements/*.in
	@requirements/lock.sh

clean: ## Remove what runs wrote (output/), not what was installed
	@rm -rf output
