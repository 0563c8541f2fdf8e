SHELL := /bin/sh
.DEFAULT_GOAL := help
BIN := .venv/bin
export PYTHONPATH := include

.PHONY: help setup demo test lint fix lock lab lab-matrix lab-backup-matrix bench up down

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install Debian packages, uv and the locked environment, as far as they are missing
	@sh setup/install.sh

demo: setup ## inspect the lab's mail system through Airflow; ONCE=1 ends by itself
	@$(BIN)/python -m lab.demo $(if $(ONCE),--once)

# The workers read what another one has compiled.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup ## run all tests; MAILCARE_REQUIRE_LAB=1 makes a skipped lab test a failure
	@$(BIN)/python -m pytest -n 3 --no-loadscope-reorder

lint: setup ## formatting, lint, types, layers, locked requirements
	@sh setup/lint.sh

fix: setup ## let the formatter and the linter mend what they can; write docs/checks.md anew
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q . ; $(BIN)/python -m setup.checks_page

lock: setup ## compile the pinned requirements anew from pyproject.toml
	@sh setup/lock.sh

lab: setup ## bring the lab up: a real mail system in network namespaces
	@$(BIN)/python -m lab up

lab-matrix: setup ## inspect with every fault of the lab and without any; write docs/detection.md
	@$(BIN)/python -m lab.matrix

lab-backup-matrix: setup ## damage the lab's backups in every way; write docs/backup-detection.md
	@$(BIN)/python -m lab.backup_matrix

bench: setup ## measure against Ansible, pyinfra, gzip, restic, borg …; write docs/benchmarks.md; PART=备份验证 for one section
	@$(BIN)/python -m bench $(PART)

up: ## start the production stack with Docker
	@docker compose up -d --build --wait

down: ## stop the production stack
	@docker compose down
