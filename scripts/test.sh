#!/usr/bin/env bash
# Run the test suite in its own environment, in two processes unless there are arguments: scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
. scripts/environment.sh
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}  # waiting threads must not take the cores of others on a busy machine
[ $# -gt 0 ] || set -- --numprocesses 2 --dist loadgroup
exec "$VENV/bin/python" -m pytest "$@"
