"""Forces and virials as the gradient of the energy with respect to the edge vectors, or forces that a model says itself."""

from typing import NamedTuple

import torch

from spinconv.potential.graph import Graph
from spinconv.potential.kinds import TrainingStep, has_direct_forces
from spinconv.potential.model import PotentialModel

Model = PotentialModel | torch.jit.ScriptModule
"""A model of any kind, or its TorchScript."""


class Evaluation(NamedTuple):
    """Energy and its derivatives for the systems of a graph."""

    energies: torch.Tensor
    """eV, float64 [n_systems]."""
    atom_energies: torch.Tensor
    """eV, float64 [n_atoms]."""
    forces: torch.Tensor
    """-dE/dx in eV/Å, [n_atoms, 3]; of a model with direct forces, these."""
    virials: torch.Tensor | None
    """-sum over edges of r outer dE/dr, eV, [n_systems, 3, 3]; the stress is -virial / volume. None where forces are direct."""


def says_forces(model: Model) -> bool:
    """Whether a model has direct forces, which are no gradient."""
    return hasattr(model, "forces") if isinstance(model, torch.jit.ScriptModule) else has_direct_forces(model.config)


@torch.enable_grad()
def energy_and_forces(model: Model, graph: Graph, create_graph: bool = False) -> Evaluation:
    """Energies, forces and virials of every system; `create_graph` keeps them differentiable for training.

    With g = dE/dr_e the receiver gets +g and the sender -g, because r_e = x_j - x_i. Works under torch.no_grad(); ValueError under
    torch.inference_mode(), which forbids gradients.
    """
    if torch.is_inference_mode_enabled() or graph.vectors.is_inference():
        raise ValueError("`energy_and_forces` needs gradients: make the graph and call it outside of torch.inference_mode()")
    if says_forces(model):
        return energy_and_direct_forces(model, graph, create_graph)
    vectors = graph.vectors.detach().requires_grad_(True)
    if create_graph or isinstance(model, torch.jit.ScriptModule):
        atom_energies = energies_of_atoms(model, graph, vectors)
        (gradient,) = torch.autograd.grad(atom_energies.sum(), vectors, create_graph=create_graph)
    else:
        energies, gradient = model.energies_and_gradients(graph.numbers, graph.edge_index, vectors)
        atom_energies = with_offsets(model, graph, energies)
    return with_gradient(graph, atom_energies, gradient)


def energy_and_forces_by(step: TrainingStep, graph: Graph) -> Evaluation:
    """The same by a step, whose weights it has itself; differentiable with respect to them where they are."""
    return with_gradient(graph, *step(graph.numbers, graph.edge_index, graph.vectors))


def with_gradient(graph: Graph, atom_energies: torch.Tensor, gradient: torch.Tensor) -> Evaluation:
    """What energies of atoms and the gradient dE/dr_e [e, 3] mean for the systems of a graph."""
    j, i = graph.edge_index[0], graph.edge_index[1]
    forces = torch.zeros(len(graph.numbers), 3, dtype=gradient.dtype, device=gradient.device)
    forces = forces.index_add(0, i, gradient).index_add(0, j, -gradient)
    virials = torch.zeros(graph.n_systems, 3, 3, dtype=gradient.dtype, device=gradient.device)
    virials = virials.index_add(0, graph.system[i], -graph.vectors.unsqueeze(2) * gradient.unsqueeze(1))
    return Evaluation(of_systems(atom_energies, graph), atom_energies, forces, virials)


def energy_and_direct_forces(model: Model, graph: Graph, create_graph: bool) -> Evaluation:
    """The same for a model that says its forces itself: there is no virial."""
    with torch.set_grad_enabled(create_graph):
        arguments = graph.numbers, graph.edge_index, graph.vectors.detach()
        energies, forces = model.energies_and_forces(*arguments)
        atom_energies = with_offsets(model, graph, energies)
        return Evaluation(of_systems(atom_energies, graph), atom_energies, forces, None)


def energies_of_atoms(model: Model, graph: Graph, vectors: torch.Tensor) -> torch.Tensor:
    """`model.energies`, `with_offsets`."""
    return with_offsets(model, graph, model.energies(graph.numbers, graph.edge_index, vectors))


def with_offsets(model: Model, graph: Graph, energies: torch.Tensor) -> torch.Tensor:
    """Energies of atoms; if there is an `energy_offset` of every structure, which a model shares out among all atoms that it is given,
    each system's atoms share one."""
    settings = model.settings if isinstance(model, torch.jit.ScriptModule) else model.settings()
    offset = settings.get("energy_offset", 0.0)
    if offset == 0.0 or graph.n_systems == 1:
        return energies
    n_atoms = torch.bincount(graph.system, minlength=graph.n_systems)
    return energies + offset * (1.0 / n_atoms[graph.system].double() - 1.0 / len(graph.system))


def of_systems(atom_energies: torch.Tensor, graph: Graph) -> torch.Tensor:
    """Sums over the atoms of each system, float64 [n_systems]."""
    return torch.zeros(graph.n_systems, dtype=torch.float64, device=atom_energies.device).index_add(0, graph.system, atom_energies)


def energies_alone(model: Model, graph: Graph) -> Evaluation:
    """Energies of every system for a training that learns nothing else, at a fraction of the work; `forces` and `virials` are empty."""
    atom_energies = energies_of_atoms(model, graph, graph.vectors)
    empty = graph.vectors.new_empty(0, 3), graph.vectors.new_empty(0, 3, 3)
    return Evaluation(of_systems(atom_energies, graph), atom_energies, *empty)
