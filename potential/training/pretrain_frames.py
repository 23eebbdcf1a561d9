"""spinconv pretrain-frames TRAIN: frames where those of an expensive method do not reach, labelled by a cheap one.

Each is a frame of TRAIN with all atoms displaced at random, in half of them with one bond squeezed or stretched as well: an atom, or all
that hangs on it, moved along the bond. GFN2-xTB (Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019)) is that of the
package tblite: 2 ms a frame of ethanol on one thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from spinconv.potential.console import console, errors_in_words, progress_bar

if TYPE_CHECKING:
    import ase
    import numpy as np
    from ase.calculators.calculator import Calculator

DISPLACED = 0.12  # Å: the largest standard deviation of a frame's displacements
STRETCHED = (0.75, 1.7)  # of a bond's length


def pretrain_frames(
    train: Annotated[Path, typer.Argument(help="Frames of one molecule or of several; labels do not count.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("pretrain.xyz"),
    n: Annotated[int, typer.Option("--frames", min=1, help="How many.")] = 14_000,
    method: Annotated[Literal["GFN2-xTB", "GFN1-xTB"], typer.Option(help="What labels them.")] = "GFN2-xTB",
    most_force: Annotated[float, typer.Option(min=0.0, help="Frames with a larger force component (eV/Å) are dropped.")] = 15.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of frames and of what is done to them.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Make frames of molecules to pretrain on, squeezed, stretched and rattled, with energies and forces of GFN2-xTB."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a small molecule is fastest so; read when tblite is loaded
    import numpy as np

    with errors_in_words(), progress_bar() as advance:
        if output.exists() and not force:
            raise ValueError(f"{output}: is there already; choose another --output, or write over it with --force")
        molecules = read_molecules(train)
        began, made = time.perf_counter(), []
        for frame in frames(molecules, n, method, most_force, seed):
            made.append(frame)
            advance(len(made) / n, "frames")
        write_frames(output, made)
        seconds = time.perf_counter() - began
        rms = float(np.sqrt(np.mean(np.concatenate([atoms.get_forces().ravel() for atoms in made]) ** 2)))
        said = f"{output}: {n} frames by {method}, force rms {rms:.2f} eV/Å; {seconds:.0f} s, {1e3 * seconds / n:.1f} ms a frame"
        console.print(said, highlight=False, markup=False)


def read_molecules(path: Path) -> list[ase.Atoms]:
    """The molecules of a file of frames, whatever its labels are called; refused if one is periodic or only single atoms are there."""
    from spinconv.potential.training.readers import ase_atoms, check_file, in_data_errors, read_ase, read_frames, reader_of

    check_file(path)
    if reader_of(path) is read_ase:
        molecules = in_data_errors(path, lambda: list(ase_atoms(path)))
    else:
        molecules = [frame.atoms for frame in read_frames(path).frames]
    for k, atoms in enumerate(molecules):
        if atoms.pbc.any():
            raise ValueError(f"{path}, frame {k}: is periodic; `spinconv pretrain-frames` is for molecules")
    if not (molecules := [atoms for atoms in molecules if len(atoms) > 1]):
        raise ValueError(f"{path}: must have molecules, has single atoms only")
    return molecules


def frames(molecules: list[ase.Atoms], n: int, method: str, most_force: float, seed: int) -> Iterator[ase.Atoms]:
    """The labelled frames, n of them; ValueError where nine of ten are dropped."""
    import numpy as np

    calculators: dict[bytes, Calculator] = {}  # one for each order of elements: tblite's goes on from the charges of the last frame
    rng, made, tried = np.random.default_rng(seed), 0, 0
    while made < n:
        tried += 1
        if tried > 100 + 10 * made:
            raise ValueError(f"of {tried - 1} frames {made} could be used; are these molecules in Å, whole and neutral?")
        atoms = moved(molecules[rng.integers(len(molecules))], rng)
        key = atoms.numbers.tobytes()
        if key not in calculators:
            calculators[key] = tight_binding(method)
        frame = labelled(atoms, calculators[key], most_force)
        if frame is not None:
            made += 1
            yield frame


def moved(atoms: ase.Atoms, rng: np.random.Generator) -> ase.Atoms:
    """A displaced copy, in half of the cases with a bond squeezed or stretched: by an end of it, or by all that hangs on that end."""
    import ase

    new = ase.Atoms(atoms.numbers, atoms.positions)
    new.positions += rng.normal(0.0, rng.uniform(0.0, DISPLACED), new.positions.shape)
    bonds = bonds_of(atoms)
    if rng.random() < 0.5 and len(bonds):
        fixed, end = rng.permutation(bonds[rng.integers(len(bonds))])
        group = [int(end)] if rng.random() < 0.5 else hanging_on(len(atoms), bonds, int(fixed), int(end))
        new.positions[group] += (rng.uniform(*STRETCHED) - 1.0) * (new.positions[end] - new.positions[fixed])
    return new


def bonds_of(atoms: ase.Atoms) -> np.ndarray:
    """Pairs of atoms closer than 1.25 times the sum of their covalent radii, to the nearest image in a cell, int [n, 2]."""
    import numpy as np
    from ase.data import covalent_radii

    radii = covalent_radii[atoms.numbers]
    return np.argwhere(np.triu(atoms.get_all_distances(mic=True) < 1.25 * (radii[:, None] + radii), 1))


def hanging_on(n: int, bonds: np.ndarray, fixed: int, end: int) -> list[int]:
    """The atoms that `end` takes along when its bond to `fixed` breaks; in a ring `end` alone."""
    import numpy as np

    bonded = np.eye(n, dtype=bool)
    bonded[bonds[:, 0], bonds[:, 1]] = bonded[bonds[:, 1], bonds[:, 0]] = True
    bonded[fixed, end] = bonded[end, fixed] = False
    group = bonded[end]
    while (wider := bonded[group].any(axis=0)).sum() > group.sum():
        group = wider
    return [end] if group[fixed] else np.flatnonzero(group).tolist()


def labelled(atoms: ase.Atoms, calculator: Calculator, most_force: float) -> ase.Atoms | None:
    """The frame with its energy and forces; None where the method does not converge or a force is beyond the bound (eV/Å)."""
    import numpy as np
    from ase.calculators.calculator import CalculationFailed
    from ase.calculators.singlepoint import SinglePointCalculator

    try:
        calculator.calculate(atoms, ["energy", "forces"])
    except (CalculationFailed, RuntimeError):  # no self-consistent charges
        return None
    results = calculator.results
    if not np.abs(results["forces"]).max() <= most_force:
        return None
    atoms.calc = SinglePointCalculator(atoms, energy=float(results["energy"]), forces=np.array(results["forces"]))
    return atoms


def tight_binding(method: str) -> Calculator:
    """The calculator of a method; ValueError where the package is missing."""
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ValueError("labels by GFN2-xTB need the package tblite: pip install tblite") from error
    calculator: Any = TBLite(method=method, verbosity=0)
    return calculator  # type: ignore[no-any-return]


def write_frames(path: Path, frames: list[ase.Atoms]) -> None:
    """An extended xyz file, whole or not at all."""
    import io

    import ase.io

    from spinconv.potential.safe_write import write_file

    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    write_file(path, text.getvalue())
