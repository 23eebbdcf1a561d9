import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator


def emt_frames(n_frames: int, seed: int = 0) -> list[ase.Atoms]:
    """Copper-aluminium clusters of two compositions, with the energies and forces of effective-medium theory."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n_frames):
        atoms = ase.Atoms("Cu3Al" if k % 2 else "Cu2Al2", np.array([(0, 0, 0), (2.5, 0, 0), (1.2, 2.2, 0), (1.2, 0.8, 2.1)]))
        atoms.positions += rng.normal(scale=0.15, size=(4, 3))
        frames.append(labelled(atoms))
    return frames


def labelled(atoms: ase.Atoms) -> ase.Atoms:
    """The structure with fixed results of effective-medium theory."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if atoms.pbc.any():
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="session")
def clusters() -> list[ase.Atoms]:
    return emt_frames(24)


@pytest.fixture
def train_file(tmp_path, clusters):
    """Training frames in a file named train.xyz."""
    path = tmp_path / "train.xyz"
    ase.io.write(path, clusters)
    return path


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
