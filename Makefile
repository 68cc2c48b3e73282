# Everything a person does with this project. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARCHITECTURE ?= arm64
TFVARS ?= terraform/terraform.tfvars
export PYTHONPATH := src

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test lint fmt build plan deploy verify rotate replay resync backtest bench proof clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp for the whole environment: it is made again only when the lock changes.
$(VENV)/.ready: uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ir-router needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.13") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || { echo "Making .venv ..."; $(PYTHON) -m venv $(VENV); }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"/uv==\1/p}' uv.lock)"
	@echo "Installing the locked packages ..."
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --no-install-project --python $(BIN)/python
	@touch $@

setup: $(VENV)/.ready ## Make .venv with the locked packages (the other targets do it by themselves)

demo: setup ## Run both main jobs on the local cloud and prove each from the other side
	@$(BIN)/python -m ir_local.demo

up: setup ## Start the local cloud, leave it running and print its addresses
	@$(BIN)/python -m ir_local.cloud up

down: setup ## End the local cloud that `make up` started
	@$(BIN)/python -m ir_local.cloud down

status: setup ## Show whether the local cloud runs, and where
	@$(BIN)/python -m ir_local.cloud status

test: setup ## Run all tests, on all cores
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: setup ## Check style, types and the Terraform root
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m ir_local.cloud.terraform check terraform

fmt: setup ## Format Python and Terraform
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@terraform fmt -recursive terraform

build: setup ## Build build/ir_router.zip for Lambda (ARCHITECTURE=arm64 or x86_64)
	@$(BIN)/python -m ir_local.build --variant lambda --architecture $(ARCHITECTURE)

plan: build ## Show what a deployment would change (TFVARS=terraform/terraform.tfvars)
	@$(BIN)/python -m ir_local.deploy plan --tfvars $(TFVARS)

deploy: build ## Deploy with Terraform, then verify (SKIP_VERIFICATION=1 leaves that out)
	@$(BIN)/python -m ir_local.deploy apply --tfvars $(TFVARS)

verify: setup ## Check a deployment, and say what to do for each line that is not well
	@$(BIN)/python -m ir_local.deploy verify --tfvars $(TFVARS)

rotate: setup ## Change the Slack token and signing secret, all or nothing (docs/operations.md)
	@$(BIN)/python -m ir_local.deploy rotate --tfvars $(TFVARS)

replay: setup ## Hand failed work back after its cause was mended (QUEUE=... LIMIT=...)
	@$(BIN)/python -m ir_local.deploy replay --tfvars $(TFVARS) $(if $(QUEUE),--queue $(QUEUE)) $(if $(LIMIT),--limit $(LIMIT))

resync: setup ## Synchronise one case now (CASE=...)
	@test -n "$(CASE)" || { echo "Say which case: make resync CASE=<case id>"; exit 2; }
	@$(BIN)/python -m ir_local.deploy resync --tfvars $(TFVARS) $(CASE)

backtest: setup ## Run CloudTrail files through the detections, changing nothing (TRAIL=file or folder)
	@test -n "$(TRAIL)" || { echo "Say which files: make backtest TRAIL=<file or folder, .json or .json.gz>"; exit 2; }
	@$(BIN)/python -m ir_local.backtest "$(TRAIL)"

bench: setup ## Measure calls, cold and warm starts, memory, containment and monthly cost, against their bounds
	@$(BIN)/python -m ir_local.bench

proof: setup ## Crash, fault, flood and attack the real code (PARTS="crash faults load hostile" SIZE=short ONLY=...)
	@PARTS="$(PARTS)" SIZE="$(SIZE)" ONLY="$(ONLY)" $(BIN)/python -m ir_local.proof

clean: ## Remove what was built, and the local cloud's state
	@test ! -x $(BIN)/python || $(BIN)/python -m ir_local.cloud down --quiet
	@rm -rf build .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
