#!/bin/sh
# Compile requirements.txt (what the product runs on) and requirements-dev.txt (its tests too)
# into the given folder, here by default. Locked versions stay, unless UPGRADE=1.
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
upgrade=${UPGRADE:+--upgrade}
compile() {
    .tools/bin/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
        $upgrade pyproject.toml "$@"
}
compile -o "$out/requirements.txt"
compile --group dev -c "$out/requirements.txt" -o "$out/requirements-dev.txt"
