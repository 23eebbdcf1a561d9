#!/usr/bin/env bash
# Sets everything up and runs the main job: the shipped ethanol model drives LAMMPS and OpenMM, and energy is conserved.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}    # nine atoms: more threads only wait for each other
spinconv info models/ethanol/model.pt
exec python benchmarks/conservation.py --quick "$@"
