"""Frames of a molecule where those of an expensive method do not reach, labelled by GFN2-xTB: to pretrain a model on.

    python benchmarks/pretrain_frames.py train.xyz -o pretrain.xyz --frames 13200

Each is a frame of train.xyz (molecules, free in space) with all atoms displaced at random, in half of them with one bond squeezed or
stretched as well: an atom, or all that hangs on it, moved along the bond. What comes out with forces beyond `--most-force` is dropped. The
same seed gives the same frames. GFN2-xTB (Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019)) by the package tblite: some
4 ms a frame of ethanol on one thread. Then

    spinconv train pretrain.yaml                                  data.train: pretrain.xyz
    spinconv train finetune.yaml --set start_from=runs/pretrain/best.ckpt

where finetune.yaml has `reference_energies` of its own method and half the learning rate.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a small molecule is fastest so; read when tblite is loaded

import ase
import ase.io
import numpy as np
import typer
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii
from rich.console import Console
from rich.progress import track
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

DISPLACED = 0.12  # Å: the largest standard deviation of a frame's displacements
STRETCHED = (0.75, 1.7)  # of a bond's length
console = Console(soft_wrap=True)


def moved(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A displaced copy, in half of the cases with a bond squeezed or stretched: by an end of it, or by all that hangs on that end."""
    new = ase.Atoms(atoms.numbers, atoms.positions)
    new.positions += rng.normal(0.0, rng.uniform(0.0, DISPLACED), new.positions.shape)
    bonds = bonds_of(atoms)
    if rng.random() < 0.5 and len(bonds):
        fixed, end = rng.permutation(bonds[rng.integers(len(bonds))])
        group = [int(end)] if rng.random() < 0.5 else hanging_on(len(atoms), bonds, int(fixed), int(end))
        new.positions[group] += (rng.uniform(*STRETCHED) - 1.0) * (new.positions[end] - new.positions[fixed])
    return new


def bonds_of(atoms: ase.Atoms) -> np.ndarray:
    """Pairs of atoms closer than 1.25 times the sum of their covalent radii, int [n, 2]."""
    radii = covalent_radii[atoms.numbers]
    return np.argwhere(np.triu(atoms.get_all_distances() < 1.25 * (radii[:, None] + radii), 1))


def hanging_on(n: int, bonds: np.ndarray, fixed: int, end: int) -> list[int]:
    """The atoms that `end` takes along when its bond to `fixed` breaks; in a ring `end` alone."""
    kept = bonds[(np.sort(bonds, axis=1) != sorted((fixed, end))).any(axis=1)]
    piece = connected_components(coo_array((np.ones(len(kept)), kept.T), shape=(n, n)), directed=False)[1]
    return [end] if piece[fixed] == piece[end] else np.flatnonzero(piece == piece[end]).tolist()


def labelled(atoms: ase.Atoms, calculator: Calculator, most_force: float) -> ase.Atoms | None:
    """The frame with its energy and forces; None where the method does not converge or a force is beyond the bound (eV/Å)."""
    try:
        calculator.calculate(atoms, ["energy", "forces"])
    except (CalculationFailed, RuntimeError):  # no self-consistent charges
        return None
    results = calculator.results
    if not np.abs(results["forces"]).max() <= most_force:
        return None
    atoms.calc = SinglePointCalculator(atoms, energy=float(results["energy"]), forces=np.array(results["forces"]))
    return atoms


def frames(molecules: list[ase.Atoms], n: int, method: str, most_force: float, seed: int) -> Iterator[ase.Atoms]:
    """The labelled frames, n of them; gives up where nine of ten are dropped."""
    calculators: dict[bytes, Calculator] = {}  # one for each order of elements: tblite's goes on from the charges of the last frame
    rng, made, tried = np.random.default_rng(seed), 0, 0
    while made < n:
        tried += 1
        if tried > 100 + 10 * made:
            raise typer.BadParameter(f"of {tried - 1} frames {made} could be used; are these molecules in Å, whole and neutral?")
        atoms = moved(molecules[rng.integers(len(molecules))], rng)
        key = atoms.numbers.tobytes()
        if key not in calculators:
            calculators[key] = tight_binding(method)
        frame = labelled(atoms, calculators[key], most_force)
        if frame is not None:
            made += 1
            yield frame


def tight_binding(method: str) -> Calculator:
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise typer.BadParameter("labels by GFN2-xTB need the package tblite: pip install tblite") from error
    calculator: Any = TBLite(method=method, verbosity=0)
    return calculator  # type: ignore[no-any-return]


def read_molecules(path: Path) -> list[ase.Atoms]:
    """The frames of a file; refused if one is periodic."""
    if not path.is_file():
        raise typer.BadParameter(f"{path}: there is no such file")
    molecules: list[ase.Atoms] = ase.io.read(path, ":")
    periodic = [k for k, atoms in enumerate(molecules) if atoms.pbc.any()]
    if periodic:
        raise typer.BadParameter(f"{path}, frame {periodic[0]}: is periodic; only molecules are pretrained on GFN2-xTB")
    return [atoms for atoms in molecules if len(atoms) > 1]


def main(
    source: Annotated[Path, typer.Argument(help="Frames of one molecule or of several, as ASE reads them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write, .xyz.")] = Path("pretrain.xyz"),
    n: Annotated[int, typer.Option("--frames", min=1, help="How many.")] = 13_200,
    method: Annotated[str, typer.Option(help="GFN2-xTB or GFN1-xTB.")] = "GFN2-xTB",
    most_force: Annotated[float, typer.Option(help="Largest force component (eV/Å) of a frame that is kept.")] = 12.0,
    seed: Annotated[int, typer.Option(help="Of the choice of frames and of displacements.")] = 0,
) -> None:
    """Write rattled and stretched frames of a molecule with energies and forces of GFN2-xTB."""
    molecules = read_molecules(source)
    began = time.perf_counter()
    made = list(track(frames(molecules, n, method, most_force, seed), "frames", n, console=console, transient=True))
    output.parent.mkdir(parents=True, exist_ok=True)
    ase.io.write(output, made, format="extxyz")
    seconds = time.perf_counter() - began
    rms = np.sqrt(np.mean(np.concatenate([atoms.get_forces().ravel() for atoms in made]) ** 2))
    console.print(
        f"{output}: {n} frames by {method}, force rms {rms:.2f} eV/Å; {seconds:.0f} s, {1e3 * seconds / n:.1f} ms a frame", highlight=False
    )


if __name__ == "__main__":
    typer.run(main)
