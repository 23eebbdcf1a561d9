"""A committee's deviation against its error."""

import subprocess
import sys
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from models import random_model
from spinconv import SpinConvCalculator
from spinconv.export import export_model

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "committee_errors.py"


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"seed{seed}.pt" for seed in (0, 1)]
    for seed, path in enumerate(files):
        export_model(random_model((1, 6, 8), seed=seed, weights_times=1.3), path)
    return files


def test_of_two_members_one_of_which_is_right(tmp_path: Path, members: list[Path]) -> None:
    """The mean is then wrong by just the deviation: the ranks are the same, and the worst frame is caught."""
    frames, right = [], SpinConvCalculator(members[0])
    for seed in range(20):
        atoms = ase.build.molecule("CH3CH2OH")
        atoms.rattle(0.05, seed=seed)
        atoms.calc = right
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.array(forces))
        frames.append(atoms)
    ase.io.write(tmp_path / "test.xyz", frames)
    command = [sys.executable, SCRIPT, tmp_path / "test.xyz", *members, "-o", tmp_path / "committee.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "their mean: rank correlation of error and deviation 1.00; 1 of the 1 worst of 20 frames are among" in done.stdout
    assert (tmp_path / "committee.png").stat().st_size > 1000
