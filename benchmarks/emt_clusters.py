"""Frames of eight atoms of copper and aluminium in hot dynamics of ASE's EMT, to train small models on that nobody has to download.

    python benchmarks/emt_clusters.py clusters.xyz                       600 frames of 60 clusters
    python benchmarks/emt_clusters.py clusters_test.xyz --clusters 10 --seed 1

Frames of one cluster follow each other in the file, 100 fs apart.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import ase
import ase.io
import numpy as np
import typer
from ase import units
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.optimize import FIRE

N_ATOMS, RADIUS, CLOSEST = 8, 3.2, 2.2
"""Atoms of a cluster; of the ball that they begin in, and between them then (Å)."""
STEP, APART = 2.0, 50
"""fs of a time step; steps between frames."""
HOT = (300.0, 900.0)
"""K."""


def cluster(rng: np.random.Generator) -> ase.Atoms:
    """Copper and aluminium, either with four chances in eight, at random places that are not too close; then somewhat relaxed."""
    places: list[np.ndarray] = []
    while len(places) < N_ATOMS:
        place = rng.uniform(-RADIUS, RADIUS, 3)
        if np.linalg.norm(place) < RADIUS and all(np.linalg.norm(place - other) > CLOSEST for other in places):
            places.append(place)
    atoms = ase.Atoms([str(symbol) for symbol in rng.choice(["Al", "Cu"], N_ATOMS)], places)
    atoms.calc = EMT()
    FIRE(atoms, logfile=None).run(fmax=0.3, steps=100)
    return atoms


def trajectory(atoms: ase.Atoms, n_frames: int, rng: np.random.Generator) -> Iterator[ase.Atoms]:
    """Frames with energy and forces."""
    atoms.set_constraint(FixCom())
    dynamics = Langevin(atoms, STEP * units.fs, temperature_K=rng.uniform(*HOT), friction=0.02 / units.fs, fixcm=False, rng=rng)
    for _ in range(n_frames):
        dynamics.run(APART)
        frame = ase.Atoms(atoms.numbers, atoms.positions)
        frame.calc = SinglePointCalculator(frame, energy=atoms.get_potential_energy(), forces=atoms.get_forces(apply_constraint=False))
        yield frame


def main(
    output: Annotated[Path, typer.Argument(help="The extended xyz to write.", show_default=False)],
    clusters: Annotated[int, typer.Option(min=1, help="So many clusters.")] = 60,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each.")] = 10,
    seed: Annotated[int, typer.Option(help="Other clusters.")] = 0,
) -> None:
    """Write frames of clusters with energies (eV) and forces (eV/Å) of EMT."""
    rng = np.random.default_rng(seed)
    found = [frame for _ in range(clusters) for frame in trajectory(cluster(rng), frames, rng)]
    ase.io.write(output, found, format="extxyz")
    print(f"{output}: {len(found)} frames of {clusters} clusters")


if __name__ == "__main__":
    typer.run(main)
