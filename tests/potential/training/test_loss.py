import numpy as np
import pytest
import torch

from spinconv.potential.gradients import Evaluation
from spinconv.potential.graph import Graph
from spinconv.potential.training.config import Loss
from spinconv.potential.training.data import Batch
from spinconv.potential.training.loss import loss, penalty
from spinconv.potential.training.metrics import Errors


def example() -> tuple[Evaluation, Batch]:
    """Two systems of two and one atoms (H H, O) with known errors: energies 0.2 and -0.5 eV, one force component 0.3 eV/Å each."""
    graph = Graph(torch.tensor([1, 1, 8]), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3), torch.tensor([0, 0, 1]), 2)
    stresses = torch.full((2, 3, 3), torch.nan, dtype=torch.float64)
    stresses[0] = 0.0
    energies, volumes = torch.tensor([-1000.0, -2000.0], dtype=torch.float64), torch.tensor([4.0, 1.0], dtype=torch.float64)
    periodic = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    batch = Batch(graph, torch.tensor([2.0, 1.0]), energies, torch.zeros(3, 3, dtype=torch.float64), stresses, volumes, periodic)
    forces = torch.zeros(3, 3, dtype=torch.float64)
    forces[0, 0], forces[2, 1] = 0.3, -0.3
    virials = torch.full((2, 3, 3), -0.8, dtype=torch.float64)
    return Evaluation(energies + torch.tensor([0.2, -0.5]), torch.zeros(3), forces, virials), batch


def test_mse_is_the_weighted_sum_of_mean_squares_per_atom_and_component():
    value = loss(*example(), Loss(type="mse", energy_weight=2.0, forces_weight=5.0))
    assert float(value) == pytest.approx(2.0 * (0.1**2 + 0.5**2) / 2 + 5.0 * 2 * 0.3**2 / 9)


def test_mae_is_the_weighted_sum_of_mean_sizes():
    value = loss(*example(), Loss(type="mae", energy_weight=2.0, forces_weight=5.0))
    assert float(value) == pytest.approx(2.0 * (0.1 + 0.5) / 2 + 5.0 * 2 * 0.3 / 9)


def test_stress_is_minus_virial_per_volume():
    evaluation, batch = example()
    batch = batch._replace(stresses=torch.zeros(2, 3, 3, dtype=torch.float64))
    settings = Loss(type="mse", energy_weight=0.0, forces_weight=1.0, stress_weight=3.0)
    without = loss(evaluation, batch, settings.model_copy(update={"stress_weight": 0.0}))
    assert float(loss(evaluation, batch, settings) - without) == pytest.approx(3.0 * (0.2**2 + 0.8**2) / 2)


def test_the_stress_of_a_slab_is_learned_in_its_plane_alone():
    """Four components of 0.2 eV/Å³ in the xy plane; what the virial says across changes neither loss nor errors."""
    evaluation, batch = example()
    stresses, periodic = batch.stresses.clone(), batch.periodic.clone()
    stresses[0, 2, :] = stresses[0, :, 2] = torch.nan
    periodic[0, 2, 2] = 0.0
    slab = batch._replace(stresses=stresses, periodic=periodic)
    virials = evaluation.virials.clone()
    virials[0, 2, :] = virials[0, :, 2] = 1000.0
    evaluation = evaluation._replace(virials=virials, forces=slab.forces)
    settings = Loss(type="mse", energy_weight=0.0, forces_weight=1.0, stress_weight=3.0)
    assert float(loss(evaluation, slab, settings)) == pytest.approx(3.0 * 0.2**2)
    errors = Errors([1, 8])
    errors.add(evaluation, slab)
    assert {f.quantity: (f.mae, f.values) for f in errors.figures()}["stress"] == (pytest.approx(200.0), 4)


def test_huber_is_mse_below_delta_and_joins_a_line_smoothly():
    settings = Loss(type="huber", huber_delta=0.1)
    e = torch.tensor([0.05, 0.1, 0.3], dtype=torch.float64, requires_grad=True)
    value = penalty(e, settings)
    np.testing.assert_allclose(value.detach().numpy(), [0.05**2, 0.1**2, 0.1 * (2 * 0.3 - 0.1)])
    (slope,) = torch.autograd.grad(value.sum(), e)
    np.testing.assert_allclose(slope.numpy(), [0.1, 0.2, 0.2])


def test_errors_equal_those_made_by_hand():
    evaluation, batch = example()
    errors = Errors([1, 8])
    errors.add(evaluation, batch)
    found = {f.quantity: (f.mae, f.rmse, f.values) for f in errors.figures()}
    expected = {
        "energy": (350.0, 1000 * np.sqrt((0.2**2 + 0.5**2) / 2), 2),
        "energy per atom": (300.0, 1000 * np.sqrt((0.1**2 + 0.5**2) / 2), 2),
        "forces": (600 / 9, 1000 * np.sqrt(2 * 0.3**2 / 9), 9),
        "stress": (200.0, 200.0, 9),  # of the one system that has a stress
        "forces on H": (300 / 6, 1000 * np.sqrt(0.3**2 / 6), 6),
        "forces on O": (300 / 3, 1000 * np.sqrt(0.3**2 / 3), 3),
    }
    assert found.keys() == expected.keys()
    for name, figures in expected.items():
        np.testing.assert_allclose(found[name], figures, rtol=1e-6)  # the energy errors were given in float32


def test_errors_of_two_batches_are_those_of_both():
    evaluation, batch = example()
    errors = Errors([1, 8])
    errors.add(evaluation, batch)
    errors.add(evaluation._replace(forces=torch.zeros(3, 3, dtype=torch.float64)), batch)
    assert errors.mae("forces") == pytest.approx(600 / 18)
    assert np.isnan(Errors([1]).mae("forces"))


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_a_missing_label_is_left_out_of_its_loss_and_of_the_gradient(kind):
    evaluation, batch = example()  # the second system has no stress
    settings = Loss(type=kind, energy_weight=0.0, forces_weight=1.0, stress_weight=3.0, huber_delta=10.0)
    virials = evaluation.virials.requires_grad_()
    value = loss(evaluation._replace(virials=virials), batch, settings)
    without = loss(evaluation, batch, settings.model_copy(update={"stress_weight": 0.0}))
    assert float((value - without).detach()) == pytest.approx(3.0 * (0.2 if kind == "mae" else 0.2**2))
    (gradient,) = torch.autograd.grad(value, virials)
    assert torch.isfinite(gradient).all()
    assert (gradient[1] == 0).all()
    nothing = batch._replace(stresses=torch.full_like(batch.stresses, torch.nan))
    assert float(loss(evaluation, nothing, settings).detach()) == pytest.approx(float(without.detach()))


def test_a_prediction_that_is_no_number_makes_loss_and_figure_nan():
    evaluation, batch = example()
    forces = evaluation.forces.clone()
    forces[2, 0] = torch.nan  # of the oxygen
    broken = evaluation._replace(forces=forces)
    assert torch.isnan(loss(broken, batch, Loss()))
    errors = Errors([1, 8])
    errors.add(broken, batch)
    assert np.isnan(errors.mae("forces"))
    assert np.isnan(errors.mae("forces on O"))
    assert errors.mae("forces on H") == pytest.approx(50.0)
    assert errors.mae("energy") == pytest.approx(350.0)
