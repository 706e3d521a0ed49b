# Every target works in a fresh clone: it sets up what it needs first, and that is quick when nothing changed.
# Ports: make run WEB_PORT=8000 SANDBOX_PORT=8100 POSTGRES_PORT=54320 REDIS_PORT=63790 MODELS_PORT=8200 KAFKA_PORT=9092
#        SMTP_PORT=1025 MAILBOX_PORT=8025

PYTHON ?= python3
BIN := .venv/bin
TEST_ARGS ?=
SERVICE ?= inference
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-run run test lint format sandbox conformance bench clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv

setup: $(BIN)/python ## Install packages, build scripts and styles, find a browser
	@$(BIN)/python -m local setup --dev

setup-run: $(BIN)/python
	@$(BIN)/python -m local setup

run: setup-run ## Start everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m local run

test: setup ## Run every test (TEST_ARGS="-k words" for some)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(TEST_ARGS)

lint: setup ## Check format, style, types, floors, migrations, deployment settings and packages
	@$(BIN)/python -m local lint

format: setup ## Format the code and repair what ruff can
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

sandbox: setup-run ## Start the stand-in Heroku alone
	@$(BIN)/python -m local sandbox

conformance: setup-run ## Check a running service against the Partner API (SERVICE=inference ARGS="--only sso")
	@$(BIN)/python manage.py conformance $(SERVICE) $(ARGS)

bench: setup ## Measure the Partner API, the inference gateway, Kafka's tenants and the usage ledger
	@$(BIN)/python -m bench.partner_api
	@$(BIN)/python -m bench.gateway
	@$(BIN)/python -m bench.kafka
	@$(BIN)/python -m bench.billing 1000000

clean: ## Remove data, builds, caches and installed packages
	@$(PYTHON) -m local clean
