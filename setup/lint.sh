#!/bin/sh
# Every gate but the tests; the same here and in CI.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/ruff format --check -q .
.venv/bin/ruff check -q .
.venv/bin/pyrefly check
.venv/bin/lint-imports
PYTHONPATH=include .venv/bin/python -m setup.checks_page --stale

# The locked requirements are what pyproject.toml asks for.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp requirements.txt requirements-dev.txt "$copy"
sh setup/lock.sh "$copy"
for file in requirements.txt requirements-dev.txt; do
    cmp -s "$file" "$copy/$file" || { echo "$file is not what pyproject.toml asks for: make lock" >&2; exit 1; }
done
