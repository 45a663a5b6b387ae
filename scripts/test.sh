#!/usr/bin/env bash
# Run the test suite in its own environment, in two processes unless there are arguments: scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
. scripts/environment.sh
# Waiting threads must not take the cores of others on a busy machine
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE} OPENBLAS_THREAD_TIMEOUT=${OPENBLAS_THREAD_TIMEOUT:-4}
[ $# -gt 0 ] || set -- --numprocesses 2 --dist loadgroup
exec "$VENV/bin/python" -m pytest "$@"
