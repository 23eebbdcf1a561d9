"""OC20's figures against values that are known by hand, and forces of atoms that are held in place."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from oc20 import adslab, write_s2ef
from rich.console import Console

from spinconv.potential.gradients import Evaluation
from spinconv.potential.training.config import Config, Loss, model_config, read_config
from spinconv.potential.training.data import labelled_graph
from spinconv.potential.training.evaluation import EvaluationResult, Prediction, figures, frame_errors, pairs, write_predictions
from spinconv.potential.training.frames import Keys, Needs, fingerprint, of_all_atoms
from spinconv.potential.training.labels import labelled
from spinconv.potential.training.loss import loss
from spinconv.potential.training.metrics import Errors
from spinconv.potential.training.oc20 import figures_of
from spinconv.potential.training.readers import read_frames
from spinconv.potential.training.splits import Source, read_splits
from spinconv.potential.training.statistics import force_rms

ROOT = Path(__file__).parents[3]
SLAB = labelled(adslab(), Keys(), Needs(), "slab, frame 0")
FREE = np.flatnonzero(SLAB.counted)


def result(*errors: tuple[float, np.ndarray]) -> EvaluationResult:
    """Predictions of the slab that are wrong by so much (eV, eV/Å)."""
    predictions = [Prediction(SLAB.energy + energy, SLAB.forces + forces, None) for energy, forces in errors]
    found = [SLAB] * len(predictions)
    return EvaluationResult(figures(pairs(found, predictions)), found, predictions)


def component(atom: int, size: float) -> np.ndarray:
    error = np.zeros((10, 3))
    error[atom, 1] = size
    return error


def value(found: EvaluationResult, quantity: str) -> float:
    return next(figure.value for figure in figures_of(found) if figure.quantity == quantity)


def test_efwt_wants_the_energy_and_every_component_of_every_free_atom_within_its_threshold():
    fine = (0.019, component(FREE[-1], 0.029))
    assert value(result(fine), "EFwT") == 100.0
    assert value(result(fine, (0.021, component(FREE[-1], 0.0))), "EFwT") == 50.0
    assert value(result(fine, (-0.021, 0.0), (0.0, component(FREE[0], -0.031)), (0.0, component(0, 9.0))), "EFwT") == 50.0  # 0 is held


def test_the_cosine_is_that_of_each_free_atom_s_force():
    assert value(result((0.0, SLAB.forces)), "force cosine") == pytest.approx(1.0)  # twice as long, as it points
    assert value(result((0.0, -2 * SLAB.forces)), "force cosine") == pytest.approx(-1.0)
    assert value(result((0.0, -SLAB.forces)), "force cosine") == 0.0  # no force at all
    turned = np.cross(SLAB.forces, [0.3, 0.4, 0.5])
    assert value(result((0.0, turned - SLAB.forces)), "force cosine") == pytest.approx(0.0, abs=1e-12)


def test_maes_are_of_frames_and_of_components_of_free_atoms():
    found = result((0.5, component(FREE[0], 0.9)), (-0.1, component(1, 50.0)))
    assert value(found, "energy MAE") == pytest.approx(0.3)
    assert value(found, "force MAE") == pytest.approx(0.9 / (2 * 3 * len(FREE)))


def test_nothing_that_is_said_of_held_atoms_changes_loss_errors_or_statistics():
    frame = SLAB._replace(forces=np.where(SLAB.counted[:, None], SLAB.forces, 1e3))
    same, every = labelled_graph(frame, 3.0, torch.float64), labelled_graph(of_all_atoms([frame])[0], 3.0, torch.float64)
    zeros = torch.zeros(10, 3, dtype=torch.float64)
    evaluation = Evaluation(same.energies, torch.zeros(10), zeros, torch.zeros(1, 3, 3, dtype=torch.float64))
    rms = np.sqrt(np.mean(SLAB.forces[FREE] ** 2))
    assert float(loss(evaluation, same, Loss())) == pytest.approx(rms**2)
    assert float(loss(evaluation, every, Loss())) > 1e5
    assert force_rms([frame]) == pytest.approx(rms)
    errors = Errors([6, 8, 29])
    errors.add(evaluation, same)
    assert {figure.quantity: figure.values for figure in errors.figures()}["forces"] == 3 * len(FREE)
    (error,) = frame_errors(EvaluationResult([], [frame], [Prediction(frame.energy, np.zeros((10, 3)), None)]))
    assert error.worst_atom == FREE[np.linalg.norm(SLAB.forces[FREE], axis=1).argmax()]
    assert error.forces_rmse == pytest.approx(1000 * rms)


@pytest.mark.parametrize(("train", "evaluate"), [(True, True), (True, False), (False, True)])
def test_the_config_says_whose_forces_are_learned_and_judged(tmp_path, train, evaluate):
    write_s2ef(tmp_path / "s2ef", 0, [adslab(k) for k in range(4)])
    said = io.StringIO()
    data = {"train": "s2ef", "validation": 1, "train_on_free_atoms": train, "eval_on_free_atoms": evaluate, "ref_energy": False}
    config = Config(data=data, max_steps=1)
    splits = read_splits(config, Source("c.yaml", tmp_path), Console(file=said, width=300))
    assert [frame.fixed is not None for frame in splits.train] == [train] * 3
    assert [frame.fixed is not None for frame in splits.validation] == [evaluate]
    assert min(frame.energy for frame in splits.train) < -29.0
    learned, judged = ("not " if yes else "" for yes in (train, evaluate))
    assert f"40% of the atoms are held in place; their forces are {learned}learned, and {judged}in the errors" in said.getvalue()
    assert "4 of 4 frames keep their total energies" in said.getvalue()


def test_a_resumed_training_knows_that_other_forces_are_learned():
    assert fingerprint([SLAB]) != fingerprint(of_all_atoms([SLAB]))


def test_predictions_are_written_with_tags_constraints_and_all_forces(tmp_path):
    write_predictions(tmp_path / "out.xyz", result((0.0, component(0, 1.0))))
    (frame,) = read_frames(tmp_path / "out.xyz").frames
    assert frame.fixed.tolist() == SLAB.fixed.tolist()
    assert frame.tags.tolist() == SLAB.tags.tolist()
    np.testing.assert_allclose(frame.forces, SLAB.forces, atol=1e-8)


def test_an_archive_says_which_atoms_are_held_for_all_frames_or_for_each(tmp_path):
    arrays = {
        "numbers": SLAB.atoms.numbers,
        "pos": np.array([SLAB.atoms.positions] * 2),
        "cell": SLAB.atoms.cell.array,
        "energy": np.zeros(2),
        "forces": np.array([SLAB.forces] * 2),
        "tags": SLAB.tags,
    }
    for fixed in (SLAB.fixed, np.array([SLAB.fixed, ~SLAB.fixed])):
        np.savez(tmp_path / "a.npz", **arrays, fixed=fixed)
        first, second = read_frames(tmp_path / "a.npz").frames
        assert first.fixed.tolist() == SLAB.fixed.tolist()
        assert second.fixed.tolist() == (SLAB.fixed if fixed.ndim == 1 else ~SLAB.fixed).tolist()
        assert first.tags.tolist() == SLAB.tags.tolist()
        np.testing.assert_array_equal(first.forces, SLAB.forces)


@pytest.mark.parametrize("head", ["energy", "force"])
def test_the_paper_s_configs_are_of_the_grid_model(head):
    config = read_config(ROOT / "configs" / f"oc20_{head}.yaml")
    assert config.data.train_on_free_atoms
    assert config.data.ref_energy
    assert model_config(config, [1, 29], "oc20").direct_forces == (head == "force")
