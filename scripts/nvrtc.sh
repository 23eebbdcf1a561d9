#!/usr/bin/env bash
# Makes an environment with NVIDIA's compilers, NVRTC and ptxas, for the tests that compile kernels for GPUs without one. Prints the variables
# that name them; `eval "$(bash scripts/nvrtc.sh)"` sets them. A minute and 300 MB, once a machine: it is kept in SPINCONV_CACHE (default:
# ~/.cache/spinconv). These tests are skipped where it cannot be made in ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
FOLDER=${SPINCONV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spinconv}/nvrtc-12.9

found() { find "$FOLDER" -path "*/nvidia/*/$1" -print -quit 2> /dev/null; }

if [ -z "$(found bin/ptxas)" ] || [ -z "$(found lib/libnvrtc.so.12)" ]; then
    echo "making an environment with NVIDIA's compilers ..." >&2
    rm -rf "$FOLDER"
    "$PYTHON" -m venv "$FOLDER" >&2
    if ! timeout 600 "$FOLDER/bin/python" -m pip --disable-pip-version-check --quiet install 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-nvcc-cu12==12.9.*' >&2; then
        echo "it could not be made; its tests will be skipped" >&2
        rm -rf "$FOLDER"
        exit 0
    fi
fi
echo "export SPINCONV_NVRTC=$(found lib/libnvrtc.so.12)"
echo "export SPINCONV_PTXAS=$(found bin/ptxas)"
