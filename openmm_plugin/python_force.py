"""The model in an OpenMM PythonForce: slower than SpinConvForce by a copy a step, and free of compiled code of ours."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spinconv.export.evaluators import open_model
from spinconv.export.extrapolation import Alarm
from spinconv.export.metadata import check_is_conservative
from spinconv.export.particles import check_atoms, whole_numbers
from spinconv.export.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.potential.edges import VerletList

if TYPE_CHECKING:
    import openmm


def python_force(
    model: str | os.PathLike[str],
    numbers: Sequence[int],
    *,
    particles: Sequence[int] | None = None,
    periodic: bool = False,
    precision: str | None = None,
    device: str = "cpu",
) -> "openmm.Force":
    """An `openmm.PythonForce` with the energy of `model`: for an OpenMM that SpinConvForce was not built for. Arguments as of `force`.

    System XML holds the path of the model file, not its content. Raises ValueError and FileNotFoundError for what does not fit.
    """
    import openmm

    indices = None if particles is None else whole_numbers("particles", particles)
    evaluation = Evaluation(os.path.abspath(model), whole_numbers("numbers", numbers), bool(periodic), precision, device, indices)
    check_is_conservative(evaluation.model.said, model)
    check_atoms(evaluation.numbers, indices, None, evaluation.model.metadata["elements"])
    python = openmm.PythonForce(evaluation)
    python.setName("SpinConvForce")
    python.setUsesPeriodicBoundaryConditions(bool(periodic))
    return python


def check_fits(numbers: Sequence[int], particles: Sequence[int] | None, n_particles: int) -> None:
    """Raises ValueError unless a System of `n_particles` has the particles that the force acts on."""
    if particles is None and len(numbers) != n_particles:
        raise ValueError(f"`numbers` must hold one atomic number for each of the {n_particles} particles, got {len(numbers)}")
    if particles is not None and max(particles) >= n_particles:
        raise ValueError(f"`particles` must lie between 0 and {n_particles - 1}, got {max(particles)}")


class Evaluation:
    """What a PythonForce calls: a State in, energy (kJ/mol) and forces (kJ/mol/nm) out. Pickled by its arguments."""

    def __init__(
        self, path: str, numbers: list[int], periodic: bool, precision: str | None, device: str, particles: list[int] | None = None
    ) -> None:
        self.path, self.numbers, self.periodic, self.precision, self.device = path, numbers, periodic, precision, device
        self.particles = particles
        self.model = open_model(path, precision, device)
        self._particle = int if particles is None else particles.__getitem__  # the particle's index by that among those of the force
        self._alarm = Alarm([self.model.metadata])
        self._neighbors = VerletList(self.model.metadata["cutoff"])
        self._numbers = np.array(numbers, dtype=np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return Evaluation, (self.path, self.numbers, self.periodic, self.precision, self.device, self.particles)

    def __call__(self, state: "openmm.State") -> tuple[float, np.ndarray]:
        # of all particles: OpenMM itself would read past their end where `setParticles` has an index beyond it
        everywhere = state.getPositions(asNumpy=True)._value
        check_fits(self.numbers, self.particles, len(everywhere))
        acted_on = slice(None) if self.particles is None else self.particles
        positions = np.array(everywhere[acted_on]) * ANGSTROM_PER_NM
        box = np.array(state.getPeriodicBoxVectors(asNumpy=True)._value) * ANGSTROM_PER_NM if self.periodic else np.zeros((3, 3))
        edges = self._neighbors.edges(self._numbers, positions, box, np.full(3, self.periodic), self._particle)
        self._alarm.look(edges, self._particle)
        found = self.model.evaluate(edges)
        forces = np.zeros_like(everywhere, dtype=np.float64)
        forces[acted_on] = found.forces * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)
        return float(found.energies.sum()) * KJ_PER_MOL_PER_EV, forces
