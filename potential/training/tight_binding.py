"""Energies and forces of GFN1- and GFN2-xTB, by the package tblite, for frames of molecules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import CalculationFailed, Calculator

from spinconv.potential.training.displaced import moved, trajectory
from spinconv.potential.training.frames import Frame

COLDEST = 0.25  # of the highest temperature
DYNAMICS = 0.75  # share of the frames that are of trajectories


class TightBinding:
    """The method's labels. Trial structures that it cannot do, or on which a force component is beyond `most_force` (eV/Å), have none."""

    def __init__(self, method: str, most_force: float = np.inf) -> None:
        self.method, self.most_force = method, most_force
        self.calculators: dict[
            bytes, Calculator
        ] = {}  # one for each order of elements: tblite's goes on from the charges of the last frame

    def calculator(self, atoms: ase.Atoms) -> Calculator:
        """The calculator of molecules like this one; ValueError where the package is missing."""
        key = atoms.numbers.tobytes()
        if key not in self.calculators:
            try:
                from tblite.ase import TBLite
            except ImportError as error:
                raise ValueError(f"labels by {self.method} need the package tblite: pip install tblite") from error
            self.calculators[key] = TBLite(method=self.method, verbosity=0)
        return self.calculators[key]

    def labelled(self, atoms: ase.Atoms, name: str) -> Frame | None:
        """The frame of a structure."""
        calculator = self.calculator(atoms)
        try:
            calculator.calculate(atoms, ["energy", "forces"])
        except (CalculationFailed, RuntimeError):  # no self-consistent charges
            return None
        return self.frame_of(atoms, calculator, name)

    def frame_of(self, atoms: ase.Atoms, calculator: Calculator, name: str) -> Frame | None:
        """The frame of the structure that the calculator was at last."""
        results: dict[str, Any] = calculator.results
        if not np.abs(results["forces"]).max() <= self.most_force:
            return None
        return Frame(atoms, float(results["energy"]), np.array(results["forces"]), None, name)

    def of_trajectory(self, atoms: ase.Atoms, temperature: float, rng: np.random.Generator) -> Iterator[Frame]:
        """Frames of a short trajectory, up to where the method fails."""
        calculator = self.calculator(atoms)
        try:
            for later in trajectory(atoms, calculator, temperature, rng):
                if (frame := self.frame_of(later, calculator, f"{temperature:.0f} K")) is None:
                    return
                yield frame
        except (CalculationFailed, RuntimeError):
            return


def made_frames(method: TightBinding, molecules: Sequence[ase.Atoms], n: int, temperature: float, seed: int) -> Iterator[Frame]:
    """n labelled frames, three of four out of trajectories of up to `temperature` (K), the others moved by hand; ValueError where nine of
    ten trials are dropped."""
    rng = np.random.default_rng(seed)
    made = tried = dynamic = 0
    while made < n:
        if tried > 100 + 10 * made:
            raise ValueError(f"of {tried} frames {made} could be used; are these molecules in Å, whole and neutral?")
        atoms = molecules[int(rng.integers(len(molecules)))]
        tried += 1
        if temperature > 0 and dynamic < DYNAMICS * made:
            found = list(method.of_trajectory(atoms, rng.uniform(COLDEST, 1.0) * temperature, rng))
            dynamic += len(found)
        else:
            frame = method.labelled(moved(atoms, rng), "moved")
            found = [] if frame is None else [frame]
        yield from found[: n - made]
        made += len(found)


def differences(method: TightBinding, frames: Sequence[Frame]) -> Iterator[Frame]:
    """The frames with what their own method says beyond this one, in energies and forces; ValueError where this one cannot say anything."""
    for frame in frames:
        if frame.forces is None or np.isnan(frame.energy):
            raise ValueError(f"{frame.name}: must have an energy and forces, of which those of {method.method} are taken off")
        atoms = ase.Atoms(frame.atoms.numbers, frame.atoms.positions)
        if (cheap := method.labelled(atoms, frame.name)) is None or cheap.forces is None:
            raise ValueError(f"{frame.name}: {method.method} finds no charges for it; is it a molecule in Å, whole and neutral?")
        yield Frame(atoms, frame.energy - cheap.energy, frame.forces - cheap.forces, None, frame.name)
