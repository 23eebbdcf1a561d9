"""The training step of our own says what torch's double backward says, of every weight."""

from collections.abc import Callable, Sequence
from typing import Any

import ase
import ase.build
import numpy as np
import pytest
import torch

from spinconv.potential import Graph, HarmonicSpinConv, ModelConfig, batch_graphs, build_graph
from spinconv.potential.gradients import Evaluation, energy_and_forces, energy_and_forces_by
from spinconv.potential.harmonic.training_step import HarmonicTrainingStep
from spinconv.potential.kinds import NoTrainingStepError, kind_named

LEVELS = ["x86-64-v3", "x86-64-v4"]
SHAPES: list[dict[str, Any]] = [
    {},
    {"lmax": 1, "channels": 16, "group": 4, "n_blocks": 1},
    {"lmax": 2, "channels": 24, "group": 8},
    {"lmax": 4, "channels": 64, "group": 16, "n_blocks": 3, "n_radial": 5},
    {"channels": 12, "group": 12, "n_radial": 33},
]


def model_of(dtype: torch.dtype = torch.float64, elements: Sequence[int] = (1, 6, 8), **shape: Any) -> HarmonicSpinConv:
    torch.manual_seed(3)
    references = [-0.5 * n for n in range(len(elements))]
    model = HarmonicSpinConv(ModelConfig(elements=tuple(elements), cutoff=4.0, **shape), references, scale=1.7, average_neighbors=7.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    model.hold([[1.1] * len(elements)] * len(elements))
    return model.to(dtype)


def step_of(model: HarmonicSpinConv, threads: int = 1, level: str = "") -> HarmonicTrainingStep:
    try:
        return HarmonicTrainingStep(model, threads, level)
    except NoTrainingStepError as reason:
        pytest.skip(str(reason))


def rattled(atoms: ase.Atoms, seed: int) -> ase.Atoms:
    atoms.rattle(0.1, seed=seed)
    return atoms


def molecules(dtype: torch.dtype = torch.float64) -> Graph:
    """With an atom alone, and two that are too close."""
    atoms = [rattled(ase.build.molecule(name), n) for n, name in enumerate(("CH3CH2OH", "H2O", "C6H6"))]
    return batch_graphs([build_graph(a, 4.0, dtype) for a in (*atoms, ase.Atoms("O"), ase.Atoms("CH", [(0, 0, 0), (0, 0, 0.9)]))])


def crystal(dtype: torch.dtype = torch.float64) -> Graph:
    atoms = rattled(ase.build.bulk("C", "diamond", cubic=True) * (2, 1, 1), 1)
    return build_graph(atoms, 4.0, dtype)


def a_loss(evaluation: Evaluation) -> torch.Tensor:
    """Of energies of atoms, forces and virials, none of which it leaves out."""
    rng = torch.Generator().manual_seed(5)
    parts = evaluation.atom_energies, evaluation.forces, evaluation.virials
    assert parts[2] is not None
    return sum((part * torch.randn(part.shape, generator=rng, dtype=torch.float64)).square().sum() for part in parts)  # type: ignore[return-value]


def both(model: HarmonicSpinConv, step: HarmonicTrainingStep, graph: Graph) -> list[tuple[Evaluation, dict[str, torch.Tensor]]]:
    """Ours, then torch's: the evaluation and the gradient of every weight."""
    found = []
    for evaluation in (energy_and_forces_by(step, graph), energy_and_forces(model, graph, create_graph=True)):
        model.zero_grad()
        a_loss(evaluation).backward(inputs=list(model.parameters()))
        found.append((evaluation, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}))
    return found


def worst(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """The largest difference, each of the largest number of its weight.

    The last bias moves an atom as much as its reference, which is taken off: of it there is nothing but rounding.
    """
    largest = max(float(g.abs().max()) for g in theirs.values())
    assert all(float(of["energy.last.bias"].abs()) < 1e-5 * largest for of in (ours, theirs))
    return max(float((ours[name] - g).abs().max() / g.abs().max()) for name, g in theirs.items() if name != "energy.last.bias")


@pytest.mark.parametrize("make", [molecules, crystal])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("level", LEVELS)
def test_every_weight_learns_what_torch_says(level: str, shape: dict[str, Any], make: Callable[[], Graph]) -> None:
    model = model_of(**shape)
    (ours, of_ours), (theirs, of_theirs) = both(model, step_of(model, level=level), make())
    torch.testing.assert_close(ours.atom_energies, theirs.atom_energies, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.forces, theirs.forces, rtol=1e-10, atol=1e-11)
    assert of_ours.keys() == of_theirs.keys() == dict(model.named_parameters()).keys()
    assert worst(of_ours, of_theirs) < 1e-10


@pytest.mark.parametrize("level", LEVELS)
def test_in_single_precision_to_its_rounding(level: str) -> None:
    model = model_of(torch.float32)
    (ours, of_ours), (theirs, of_theirs) = both(model, step_of(model, level=level), molecules(torch.float32))
    torch.testing.assert_close(ours.forces, theirs.forces, rtol=1e-4, atol=3e-5)
    assert worst(of_ours, of_theirs) < 1e-3


def test_a_batch_without_edges_or_elements_learns_nothing_of_what_is_not_there() -> None:
    model = model_of()
    step = step_of(model)
    (ours, of_ours), (theirs, _) = both(model, step, batch_graphs([build_graph(ase.Atoms(z), 4.0, torch.float64) for z in "HO"]))
    assert ours.atom_energies.tolist() == theirs.atom_energies.tolist() == [model.reference_energies[0], model.reference_energies[2]]
    assert all(float(g.abs().max()) < 1e-12 for g in of_ours.values())
    (_, of_ours), _ = both(model, step, crystal())
    factors = of_ours["initial_message.factors"]
    assert [bool(row.any()) for row in factors] == [n == 4 for n in range(9)]  # C after C alone
    again = both(model, step, molecules())  # of another size, with the same memory
    assert worst(again[0][1], again[1][1]) < 1e-10


def test_threads_change_roundings_alone_and_a_number_of_them_gives_the_same_bits() -> None:
    model = model_of()
    graph = crystal()
    one, three = step_of(model), step_of(model, threads=3)
    found = [both(model, step, graph)[0] for step in (one, three, three)]
    assert worst(found[1][1], found[0][1]) < 1e-12
    assert all(torch.equal(found[1][1][name], g) for name, g in found[2][1].items())
    assert torch.equal(found[1][0].forces, found[2][0].forces)


def test_weights_are_those_of_the_moment() -> None:
    model = model_of()
    step, graph = step_of(model), molecules()
    before = energy_and_forces_by(step, graph).energies
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.1
    torch.testing.assert_close(energy_and_forces_by(step, graph).energies, energy_and_forces(model, graph).energies, rtol=1e-12, atol=1e-12)
    assert not np.allclose(before.detach(), energy_and_forces_by(step, graph).energies.detach())


def test_what_it_is_not_for_is_refused_in_words() -> None:
    with pytest.raises(NoTrainingStepError, match=r"float32 and float64 on a CPU, the model is torch.float16"):
        HarmonicTrainingStep(model_of(torch.float16))
    with pytest.raises(NoTrainingStepError, match=r"no instruction set that there is code for"):
        HarmonicTrainingStep(model_of(), level="x86-64-v9")
    with pytest.raises(NoTrainingStepError, match=r"models of kind `grid` are trained by torch"):
        kind_named("grid").training_step(model_of(), 1)
