#!/usr/bin/env bash
# The whole test suite in its own environment: scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
. scripts/environment.sh
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}  # on a busy machine, threads that wait must not keep others from working
exec "$VENV/bin/python" -m pytest "$@"
