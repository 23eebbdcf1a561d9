#!/usr/bin/env bash
# The evaluator without torch where the other tests do not see it: under the sanitizers, by another compiler, on another kind of processor.
#
#   bash scripts/native.sh [sanitizers|clang|aarch64 ...]     all that this machine has compilers for, unless said
#
# Needs .venv (scripts/test.sh), which writes the model files. Warnings are errors.
set -euo pipefail
cd "$(dirname "$0")/.."

build() {   # FOLDER OPTION...: the tests that need no torch
    local folder=$1
    shift
    cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_COMPILE_WARNING_AS_ERROR=ON -DSPINCONV_LAMMPS=OFF -DSPINCONV_OPENMM=OFF \
        -DSPINCONV_TESTS=ON -DPython_EXECUTABLE="$(command -v python)" "$@" > /dev/null
    cmake --build "$folder" --target test_json test_container test_couplings test_evaluator
}

sanitizers() {
    build build/sanitize -DSPINCONV_SANITIZE=ON
    ctest --test-dir build/sanitize -R '^(json|container|write_shapes|couplings|evaluator)$' --output-on-failure
}

clang() {
    command -v clang++ > /dev/null || { echo "clang++ is not installed: skipped"; return; }
    build build/clang -DCMAKE_CXX_COMPILER=clang++
    ctest --test-dir build/clang -R '^(json|container|write_shapes|couplings|evaluator|instructions)$' --output-on-failure
}

aarch64() {
    command -v aarch64-linux-gnu-g++ > /dev/null || { echo "aarch64-linux-gnu-g++ is not installed: skipped"; return; }
    build build/aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
    command -v qemu-aarch64 > /dev/null || { echo "qemu-aarch64 is not installed: built, not run"; return; }
    local model
    model=$(mktemp -d)/model.pt
    PYTHONPATH=tests${PYTHONPATH:+:$PYTHONPATH} python -m harmonic_shapes "$model"
    qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/export/test_evaluator armv8-a "$model"
}

for part in ${*:-sanitizers clang aarch64}; do
    echo "--- native evaluator: $part"
    "$part"
done
