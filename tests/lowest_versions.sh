#!/usr/bin/env bash
# The fast tests with the lowest versions that pyproject.toml allows, in a new environment.
# Usage: tests/lowest_versions.sh [PYTEST ARGUMENTS]
# Needs uv (https://docs.astral.sh/uv), which can choose the lowest versions. Downloads some 4 GB.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${LOWEST_VENV:-$(mktemp -d)}
uv venv --quiet --allow-existing --python 3.11 "$venv"
uv pip install --quiet --python "$venv/bin/python" --resolution lowest-direct -e '.[dev]'
uv pip freeze --python "$venv/bin/python"
# Old versions of one library warn of new versions of another.
exec "$venv/bin/pytest" -W ignore::DeprecationWarning "$@"
