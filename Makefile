# Project commands; `make help` lists them.
PRESET ?= offline
SET ?=
TESTS ?=
VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest --dist loadfile --no-loadscope-reorder
# Fast tests wait for servers and browsers: one process more than cores.
FAST_PROCESSES = $(shell n=$$(nproc); echo $$((n < 4 ? n + 1 : 4)))
# Keep byte code: without it TensorFlow, Keras and TFX import three times slower.
unexport PYTHONDONTWRITEBYTECODE
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run test slow soak check format bench mutants notebooks docs compile space serve lock sbom audit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the locked packages into .venv (every other target does this first)
	@requirements/setup.sh

run: setup ## Run the pipeline on this machine: PRESET=offline, SET="--set key=value"
	@$(VENV)/python local_runner.py run --preset $(PRESET) $(SET)

test: setup ## Run all but the slow tests
	@$(PYTEST) -n $(FAST_PROCESSES) -m "not slow and not soak"

slow: setup ## Run the slow tests: packaged Gemma, whole runs, notebooks. TESTS="tests/models" runs some
	@$(PYTEST) -n logical --maxprocesses 4 -m "slow and not soak" $(TESTS)

soak: setup ## Run the longest tests
	@$(PYTEST) -m soak

check: setup ## Check lint, format, types and import rules
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(VENV)/python -m tools.any_share

compile: PRESET := vertex
compile: setup ## Compile the pipeline for Vertex AI Pipelines into output/vertex: SET="--set key=value"
	@$(VENV)/python kubeflow_runner.py compile --preset $(PRESET) $(SET)

bench: setup ## Run the benchmarks into benchmarks/RESULTS.md: NAMES="quota dedup"
	@$(VENV)/python -m benchmarks $(NAMES)

mutants: setup ## Plant 400 faults, see how many the tests find; resumes. SET="--minutes 25"
	@$(VENV)/uv pip install --quiet --no-deps --require-hashes --python $(VENV)/python \
		--target output/mutants/packages -r requirements/mutants.txt
	@test -f output/mutants/plan.jsonl || PYTHONPATH=output/mutants/packages $(VENV)/python -m tools.mutants.draw
	@$(VENV)/python -m tools.mutants $(SET)
	@$(VENV)/python -m benchmarks mutants

notebooks: setup ## Run the notebooks and render them into docs/notebooks
	@$(VENV)/python -m notebooks.render

docs: setup ## Draw the DAG and build the documentation into output/site; fails on a broken link
	@$(VENV)/python -m docs.dag
	@$(VENV)/python -m mkdocs build --quiet

space: setup ## Serve the application with the best local model: PRESET=offline, SET="--port 7861"
	@$(VENV)/python local_runner.py space --preset $(PRESET) $(SET)

serve: setup ## Answer in the service LLM's place when it fails: PRESET=offline, SET="--port 8100"
	@$(VENV)/python local_runner.py serve --preset $(PRESET) $(SET)

format: setup ## Format the code
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

lock: ## Compile the locks from pyproject.toml and requirements/*.in, and their SBOMs
	@requirements/lock.sh
	@$(VENV)/python -m tools.supply_chain sbom

sbom: setup ## List what the locks hold: requirements/licenses.csv and CycloneDX files in requirements/sbom
	@$(VENV)/python -m tools.supply_chain sbom

audit: setup ## Check hashes and licenses of the locks, and known vulnerabilities with pip-audit
	@$(VENV)/python -m tools.supply_chain audit

clean: ## Remove the output of runs (output/), not the installed packages
	@rm -rf output
