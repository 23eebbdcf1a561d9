#!/usr/bin/env bash
# Sets everything up and runs the tests; arguments go to pytest (`scripts/test.sh -m "not slow"`, `scripts/test.sh -k laws`).
set -euo pipefail
. "$(dirname "$0")/setup.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}    # small systems: more threads only wait for each other
exec python -m pytest "$@"
