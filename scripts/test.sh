#!/usr/bin/env bash
# The whole test suite in its own environment: scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
. scripts/environment.sh
exec "$VENV/bin/python" -m pytest "$@"
