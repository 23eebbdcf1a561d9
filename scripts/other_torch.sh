#!/usr/bin/env bash
# Makes environments with other builds of PyTorch than ours, for the tests that need them: a real TorchForce (torch 2.12), torch 2.10, and
# the CUDA build that the package index gives to everybody, with the engines. Prints the variables that name their Pythons;
# `eval "$(bash scripts/other_torch.sh)"` sets them. Minutes and 5 GB each, once a machine: they are kept in SPINCONV_CACHE (default:
# ~/.cache/spinconv). The tests of one that cannot be made in ten minutes are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
CACHE=${SPINCONV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spinconv}

# make VARIABLE NAME MODULE REQUIREMENT...: an environment by NAME, complete once MODULE can be imported
make() {
    local variable=$1 folder=$CACHE/$2 module=$3
    shift 3
    if ! "$folder/bin/python" -c "import $module" > /dev/null 2>&1; then
        echo "making an environment with $* ..." >&2
        rm -rf "$folder"
        "$PYTHON" -m venv "$folder" >&2
        if ! timeout 600 "$folder/bin/python" -m pip --disable-pip-version-check --quiet install "$@" >&2; then
            echo "it could not be made; its tests will be skipped" >&2
            rm -rf "$folder"
            return
        fi
    fi
    echo "export $variable=$folder/bin/python"
}

make SPINCONV_TORCHFORCE_PYTHON torchforce-1.10 openmmtorch torch==2.12.1 acellera-openmmtorch-cpu==1.10 openmm==8.5.2 numpy
make SPINCONV_OTHER_TORCH_PYTHON torch-2.10 torch torch==2.10.0 numpy
# whatever index of CPU builds this machine may prefer
PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS='' make SPINCONV_CUDA_TORCH_PYTHON torch-2.13-cuda "lightning, safetensors" torch==2.13.0 -r scripts/requirements.txt
