"""The model in an OpenMM PythonForce: slower than SpinConvForce by a copy a step, and free of compiled code of ours."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import vesin

from spinconv.export.bind import check_atoms
from spinconv.export.execution import evaluate_graph
from spinconv.export.extrapolation import Alarm
from spinconv.export.module import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from spinconv.export.reader import check_is_conservative, read_model
from spinconv.potential import Graph

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

    indices = None if particles is None else [int(particle) for particle in particles]
    evaluation = Evaluation(os.path.abspath(model), [int(number) for number in numbers], bool(periodic), precision, device, indices)
    check_is_conservative(evaluation.model, model)
    check_atoms(evaluation.numbers, indices, None, evaluation.model.metadata["elements"])
    python = openmm.PythonForce(evaluation)
    python.setName("SpinConvForce")
    python.setUsesPeriodicBoundaryConditions(bool(periodic))
    if indices is not None:
        python.setParticles(indices)
    return python


class Evaluation:
    """What a PythonForce calls: a State in, energy (kJ/mol) and forces (kJ/mol/nm) out. Pickled by its arguments."""

    def __init__(
        self, path: str, numbers: list[int], periodic: bool, precision: str | None, device: str, particles: list[int] | None = None
    ) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.path, self.numbers, self.periodic, self.precision, self.device = path, numbers, periodic, precision, device
        self.particles = particles
        self.model = read_model(path, precision, device)
        self.neighbors = vesin.NeighborList(cutoff=self.model.metadata["cutoff"], full_list=True, sorted=True)
        self._particle = int if particles is None else particles.__getitem__  # the particle's index by that among those of the force
        self._alarm = Alarm([self.model.metadata])
        self._numbers = torch.tensor(numbers, dtype=torch.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return Evaluation, (self.path, self.numbers, self.periodic, self.precision, self.device, self.particles)

    def __call__(self, state: "openmm.State") -> tuple[float, np.ndarray]:
        positions = np.array(state.getPositions(asNumpy=True)._value) * ANGSTROM_PER_NM
        if len(positions) != len(self.numbers):
            raise ValueError(f"`numbers` must hold one atomic number for each of the {len(positions)} particles, got {len(self.numbers)}")
        if not np.isfinite(positions).all():
            raise ValueError(f"the position of particle {int(np.argwhere(~np.isfinite(positions))[0, 0])} is not a number")
        box = np.array(state.getPeriodicBoxVectors(asNumpy=True)._value) * ANGSTROM_PER_NM if self.periodic else np.zeros((3, 3))
        i, j, vectors = self.neighbors.compute(points=positions, box=box, periodic=self.periodic, quantities="ijD")
        graph = Graph(
            self._numbers,
            torch.from_numpy(np.stack([j, i]).astype(np.int64)),
            torch.from_numpy(np.asarray(vectors).reshape(-1, 3)),
            torch.zeros(len(positions), dtype=torch.int64),
        )
        self._alarm.look(graph, self._particle)
        evaluation = evaluate_graph(self.model, graph)
        energy = float(evaluation.energies[0].detach()) * KJ_PER_MOL_PER_EV
        forces = evaluation.forces.detach().cpu().numpy().astype(np.float64) * (KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM)
        return energy, forces
