# Everything a person does with this project. `make` alone lists it.

# Debian's and Ubuntu's Python is built with optimisations that pyenv leaves out: the tests take a seventh less time.
PYTHON ?= $(shell /usr/bin/python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
ARCHITECTURE ?= arm64
TFVARS ?= terraform/terraform.tfvars
export PYTHONPATH := src
# Without compiled modules every process that a test starts compiles the SDKs again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test check busy lint fmt build plan deploy verify rotate replay resync backtest release bench proof shapes pictures mutants clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# This stamp stands for the environment. Make renews it only when the lock changes.
$(VENV)/.ready: uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ir-router needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=/path/to/python3.13") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || { echo "Making .venv ..."; $(PYTHON) -m venv $(VENV); }
	@test -x $(BIN)/uv || { $(PYTHON) -c 'import tomllib; uv = next(p for p in tomllib.load(open("uv.lock", "rb"))["package"] if p["name"] == "uv"); print("uv==" + uv["version"], *("--hash=" + w["hash"] for w in uv["wheels"]))' > $(VENV)/uv.txt && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --requirement $(VENV)/uv.txt; }
	@echo "Installing the locked packages ..."
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --no-install-project --no-build --compile-bytecode --python $(BIN)/python
	@touch $@

setup: $(VENV)/.ready ## Make .venv with the locked packages (the other targets do this automatically)

demo: setup ## Run the main jobs on the local cloud and prove each from the other side (QUIRKS=1: with quirks of Slack)
	@QUIRKS="$(QUIRKS)" $(BIN)/python -m ir_sandbox.demo

up: setup ## Start the local cloud, leave it running and print its addresses
	@$(BIN)/python -m ir_sandbox.cloud up

down: setup ## End the local cloud that `make up` started
	@$(BIN)/python -m ir_sandbox.cloud down

status: setup ## Show whether the local cloud runs, and where
	@$(BIN)/python -m ir_sandbox.cloud status

test: setup ## Run all tests, on all cores
	@$(BIN)/python -m tests.support.compiled
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 6 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup ## Check format, style and types, and run the unit tests: at most a minute
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy & types=$$!; \
		$(BIN)/python -m pytest --quiet --numprocesses 2 --dist worksteal tests/unit $(PYTEST_ARGS); tests=$$?; \
		wait $$types && exit $$tests

busy: setup ## Run the tests while twice as many busy loops as processors run (PYTEST_ARGS=...)
	@$(BIN)/python -m tests.trials.busy

lint: setup ## Check style, types and the Terraform root
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m ir_sandbox.cloud.terraform check terraform

fmt: setup ## Format Python and Terraform
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@terraform fmt -recursive terraform

build: setup ## Build build/ir_router.zip for Lambda (ARCHITECTURE=arm64 or x86_64)
	@$(BIN)/python -m ir_operator build --variant lambda --architecture $(ARCHITECTURE)

plan: setup ## Show the changes that a deployment would make (TFVARS=terraform/terraform.tfvars)
	@$(BIN)/python -m ir_operator plan --tfvars $(TFVARS)

deploy: setup ## Build, deploy with Terraform, then verify (SKIP_VERIFICATION=1 skips the verification)
	@$(BIN)/python -m ir_operator deploy --tfvars $(TFVARS)

verify: setup ## Check a deployment and print the fix for each failed check
	@$(BIN)/python -m ir_operator verify --tfvars $(TFVARS)

rotate: setup ## Change the Slack token and signing secret, all or nothing (REVOKE_PREVIOUS=1, docs/operations.md)
	@$(BIN)/python -m ir_operator rotate --tfvars $(TFVARS) $(if $(REVOKE_PREVIOUS),--revoke-previous)

replay: setup ## Return failed work to its queue or function after its cause is fixed (QUEUE=... LIMIT=...)
	@$(BIN)/python -m ir_operator replay --tfvars $(TFVARS) $(if $(QUEUE),--queue $(QUEUE)) $(if $(LIMIT),--limit $(LIMIT))

resync: setup ## Synchronise one case now (CASE=...)
	@test -n "$(CASE)" || { echo "CASE is missing. Use: make resync CASE=<case id>"; exit 2; }
	@$(BIN)/python -m ir_operator resync --tfvars $(TFVARS) $(CASE)

backtest: setup ## Run CloudTrail files through the detections, without changes (TRAIL=file or folder EXTRA=detections.json)
	@test -n "$(TRAIL)" || { echo "TRAIL is missing. Use: make backtest TRAIL=<file or folder, .json or .json.gz>"; exit 2; }
	@$(BIN)/python -m ir_operator backtest "$(TRAIL)" $(if $(EXTRA),--extra "$(EXTRA)")

release: setup ## Make the files of a release in build/release: zips, wheel, checksums, bill of materials
	@$(BIN)/python -m ir_operator release

bench: setup ## Measure calls, cold and warm starts, memory, containment and monthly cost, and compare them with their limits
	@$(BIN)/python -m tests.trials.bench

proof: setup ## Crash, fault, flood and attack the real code (PARTS="crash faults load hostile quirks deployments" SIZE=short ONLY=...)
	@PARTS="$(PARTS)" SIZE="$(SIZE)" ONLY="$(ONLY)" $(BIN)/python -m tests.trials.proof

shapes: setup ## Play inputs in the formats of AWS and Slack and write the results (DIR=folder ONLY=ids JOBS=n)
	@test -n "$(DIR)" || { echo "DIR is missing. Use: make shapes DIR=<folder of JSON files>"; exit 2; }
	@ONLY="$(ONLY)" JOBS="$(JOBS)" $(BIN)/python -m tests.trials.shapes "$(DIR)"

pictures: demo ## Make the pictures of the docs from the demo (needs Chromium and the font Noto Color Emoji)
	@$(BIN)/python -m ir_sandbox.demo.pictures

mutants: setup ## Change the code in N places and check that tests notice (SEED=1 N=150 ONLY=package, file or id)
	@SEED="$(SEED)" N="$(N)" ONLY="$(ONLY)" $(BIN)/python -m tests.trials.mutants

clean: ## Remove build results and the local cloud's state
	@test ! -x $(BIN)/python || $(BIN)/python -m ir_sandbox.cloud down --quiet
	@rm -rf build .local .mypy_cache .ruff_cache .pytest_cache .hypothesis
