"""Makes the references of this folder with ASE, never with the plugin: python tests/lammps_plugin/force_styles/make.py

Each file says what LAMMPS is told (`lammps`), where the atoms are, and what ASE finds before and after a few steps of velocity Verlet, as
LAMMPS' own force-style tests do.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import ase.build
import numpy as np
import yaml
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import LinearCombinationCalculator
from ase.md.verlet import VelocityVerlet
from ase.units import fs

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1])]  # for structures

from structures import ethanol, triclinic, water_box  # noqa: E402

from spinconv.export import SpinConvCalculator  # noqa: E402

ROOT = HERE.parents[2]
STEPS, TIMESTEP = 4, 0.25  # fs


def model(name: str) -> Calculator:
    return SpinConvCalculator(ROOT / "models" / name / "model.pt", "float64")


class Zbl(Calculator):
    """Ziegler, Biersack and Littmark's screened repulsion with the switch of LAMMPS' pair_style zbl, both directions summed."""

    implemented_properties = ("energy", "energies", "forces", "stress")

    def __init__(self, inner: float, outer: float) -> None:
        super().__init__()
        self.inner, self.outer = inner, outer

    def pair(self, r: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energy and its derivative, of distances and products/sums of charges [n, 2]."""
        scale = (z[:, 0] ** 0.23 + z[:, 1] ** 0.23) / 0.46850
        amplitudes, rates = np.array([0.02817, 0.28022, 0.50986, 0.18175]), np.array([0.20162, 0.40290, 0.94229, 3.19980])
        factor = 14.399645 * z[:, 0] * z[:, 1]

        def bare(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            terms = amplitudes * np.exp(-np.outer(x * scale, rates))
            screen = terms.sum(1)
            first = -(terms * rates).sum(1) * scale
            second = (terms * rates**2).sum(1) * scale**2
            return (
                factor * screen / x,
                factor * (first / x - screen / x**2),
                factor * (second / x - 2 * first / x**2 + 2 * screen / x**3),
            )

        e, de, dde = bare(np.full_like(r, self.outer))
        width = self.outer - self.inner
        a = (-3 * de + width * dde) / width**2
        b = (2 * de - width * dde) / width**3
        shift = -e + width * de / 2 - width**2 * dde / 12
        t = np.clip(r - self.inner, 0, None)
        energy, slope, _ = bare(r)
        return energy + a * t**3 / 3 + b * t**4 / 4 + shift, slope + a * t**2 + b * t**3

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        from ase.neighborlist import neighbor_list

        super().calculate(atoms, properties, system_changes)
        i, j, r, vectors = neighbor_list("ijdD", self.atoms, self.outer)
        numbers = self.atoms.numbers.astype(float)
        energy, slope = self.pair(r, np.stack([numbers[i], numbers[j]], axis=1))
        gradient = slope[:, None] * vectors / r[:, None]  # of a pair's energy with respect to r_j - r_i
        forces = np.zeros((len(self.atoms), 3))
        np.add.at(forces, i, gradient)
        energies = np.bincount(i, energy / 2, len(self.atoms))
        self.results = {"energy": energies.sum(), "energies": energies, "forces": forces}
        if self.atoms.pbc.all():
            stress = (vectors.T @ gradient) / 2 / self.atoms.get_volume()
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def sum_of(*calculators: Calculator, weights: tuple[float, ...] | None = None) -> Calculator:
    return LinearCombinationCalculator(list(calculators), list(weights or [1.0] * len(calculators)))


def small_water() -> ase.Atoms:
    return water_box(2)


def big_water() -> ase.Atoms:
    return water_box(3)


def silicon() -> ase.Atoms:
    atoms = ase.build.bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def primitive_silicon() -> ase.Atoms:
    """Two atoms in a cell below the cutoff."""
    atoms = ase.build.bulk("Si")
    atoms.rattle(0.1, seed=3)
    return atoms


WATER, ETHANOL, SILICON = "${models}/water/model.pt", "${models}/ethanol/model.pt", "${models}/silicon/model.pt"
DOUBLE = "precision float64"
Case = tuple[Callable[[], ase.Atoms], Callable[[], Calculator], str, list[str]]
LJ = {"sigma": 2.0, "epsilon": 0.01, "rc": 4.0, "smooth": False}

# name: structure, calculator, map of atoms, pair lines
CASES: dict[str, Case] = {
    "molecule": (ethanol, lambda: model("ethanol"), "array", [f"pair_style spinconv {ETHANOL} {DOUBLE}", "pair_coeff * * H C O"]),
    "water": (big_water, lambda: model("water"), "array", [f"pair_style spinconv {WATER} {DOUBLE}", "pair_coeff * * H O"]),
    "triclinic": (triclinic, lambda: model("water"), "array", [f"pair_style spinconv {WATER} {DOUBLE}", "pair_coeff * * H O"]),
    "crystal": (silicon, lambda: model("silicon"), "array", [f"pair_style spinconv {SILICON} {DOUBLE}", "pair_coeff * * Si"]),
    "tiny-cell": (primitive_silicon, lambda: model("silicon"), "array", [f"pair_style spinconv {SILICON} {DOUBLE}", "pair_coeff * * Si"]),
    "map-hash": (
        small_water,
        lambda: model("water"),
        "hash",
        [f"pair_style spinconv {WATER} {DOUBLE}", "pair_coeff * * H O"],
    ),
    "map-none": (small_water, lambda: model("water"), "none", [f"pair_style spinconv {WATER} {DOUBLE}", "pair_coeff * * H O"]),
    "chunks": (big_water, lambda: model("water"), "array", [f"pair_style spinconv {WATER} {DOUBLE} chunk 500", "pair_coeff * * H O"]),
    "committee": (
        ethanol,
        lambda: model("ethanol"),
        "array",
        [f"pair_style spinconv {ETHANOL} {ETHANOL} {DOUBLE} out_freq 0", "pair_coeff * * H C O"],
    ),
    "overlay-zbl": (
        small_water,
        lambda: sum_of(model("water"), Zbl(2.0, 3.0)),
        "array",
        [
            f"pair_style hybrid/overlay zbl 2.0 3.0 spinconv {WATER} {DOUBLE}",
            "pair_coeff * * spinconv H O",
            "pair_coeff 1 1 zbl 1 1",
            "pair_coeff 1 2 zbl 1 8",
            "pair_coeff 2 2 zbl 8 8",
        ],
    ),
    "overlay-lj": (
        silicon,
        lambda: sum_of(model("silicon"), LennardJones(**LJ)),
        "array",
        [
            f"pair_style hybrid/overlay lj/cut 4.0 spinconv {SILICON} {DOUBLE}",
            "pair_modify pair lj/cut shift yes",
            "pair_coeff * * spinconv Si",
            "pair_coeff * * lj/cut 0.01 2.0",
        ],
    ),
    "scaled": (
        small_water,
        lambda: sum_of(model("water"), Zbl(2.0, 3.0), weights=(0.75, 0.25)),
        "array",
        [
            f"pair_style hybrid/scaled 0.25 zbl 2.0 3.0 0.75 spinconv {WATER} {DOUBLE}",
            "pair_coeff * * spinconv H O",
            "pair_coeff 1 1 zbl 1 1",
            "pair_coeff 1 2 zbl 1 8",
            "pair_coeff 2 2 zbl 8 8",
        ],
    ),
}
EPSILON = {"overlay-zbl": 2e-8, "scaled": 2e-8}  # LAMMPS' e^2 has eight digits


def evaluate(atoms: ase.Atoms) -> dict[str, Any]:
    found = {"energy": float(atoms.get_potential_energy()), "forces": atoms.get_forces().tolist()}
    if atoms.pbc.all():
        found["stress"] = atoms.get_stress(voigt=False).tolist()
    return found


def make(name: str) -> None:
    structure, calculator, atom_map, pair = CASES[name]
    atoms = structure()
    atoms.calc = calculator()
    content: dict[str, Any] = {
        "prerequisites": ["pair spinconv", *(["pair " + word for word in ("zbl", "lj/cut") if any(word in line for line in pair)])],
        "lammps": {"map": atom_map, "pair": pair, "steps": STEPS, "timestep": TIMESTEP / 1000},
        "epsilon": EPSILON.get(name, 1e-9),
        "symbols": atoms.get_chemical_symbols(),
        "pbc": atoms.pbc.tolist(),
        "cell": atoms.cell.array.tolist(),
        "masses": dict(sorted(zip(atoms.get_chemical_symbols(), atoms.get_masses().tolist(), strict=True))),
        "positions": atoms.positions.tolist(),
        "init": evaluate(atoms),
    }
    VelocityVerlet(atoms, timestep=TIMESTEP * fs).run(STEPS)
    content["run"] = evaluate(atoms)
    text = yaml.safe_dump(content, sort_keys=False, width=140)
    (HERE / f"{name}.yaml").write_text(f"# Made by make.py with ASE. epsilon: relative to the largest number of a kind.\n{text}")


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case)
