import ase
import numpy as np
import pytest
from matplotlib.figure import Figure

from spinconv.potential.training import parity
from spinconv.potential.training.evaluation import EvaluationResult, Prediction
from spinconv.potential.training.frames import Frame
from spinconv.potential.training.parity import draw_parity, energies, forces, stresses


def result_of(formulas: list[str], forces_too: bool = True, stress: bool = False) -> EvaluationResult:
    """Frames of -1 eV per H and -10 eV per O, and a model that is 0.5 eV too high and 0.1 eV/Å off."""
    frames, predictions = [], []
    for k, formula in enumerate(formulas):
        atoms = ase.Atoms(formula, cell=[9, 9, 9], pbc=stress)
        f = np.full((len(atoms), 3), float(k)) if forces_too else None
        s = np.full((3, 3), 0.1 * k) if stress else None
        energy = float(np.where(atoms.numbers == 1, -1.0, -10.0).sum())
        frames.append(Frame(atoms, energy, f, s, f"t.xyz, frame {k}"))
        predictions.append(Prediction(energy + 0.5, np.full((len(atoms), 3), k + 0.1), np.full((3, 3), 0.1 * k + 0.01)))
    return EvaluationResult([], frames, predictions)


@pytest.mark.parametrize("formulas", [["H2O", "H2O"], ["H2O", "H2", "O2H2"]], ids=["one composition", "several"])
def test_energies_are_shown_without_what_the_composition_tells(formulas):
    panel = energies(result_of(formulas))
    np.testing.assert_allclose(panel.reference, 0, atol=1e-12)
    np.testing.assert_allclose(panel.predicted, [0.5 / ase.Atoms(formula).get_global_number_of_atoms() for formula in formulas])
    assert ("less the mean" in panel.name) == (len(set(formulas)) == 1)


def test_every_force_component_has_the_colour_of_its_atom():
    panel = forces(result_of(["H2O", "O"]))
    assert panel.elements.tolist() == [1] * 6 + [8] * 6
    np.testing.assert_allclose(panel.predicted - panel.reference, 0.1)
    assert panel.reference.tolist() == [0.0] * 9 + [1.0] * 3


def test_what_has_no_reference_has_no_panel(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: drawn.append(figure))
    for given in (result_of(["H2O", "H2O"], False), result_of(["H2O", "H2O"]), result_of(["H2O", "H2O"], stress=True)):
        draw_parity(tmp_path / "p.png", given, "m on t.xyz")
    assert [len(figure.axes) for figure in drawn] == [2, 4, 6]
    assert forces(result_of(["H2O"], False)).reference.size == stresses(result_of(["H2O"])).reference.size == 0


def test_the_picture_says_what_it_shows(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: drawn.append(figure))
    monkeypatch.setattr(parity, "MOST", 10)
    draw_parity(tmp_path / "p.png", result_of(["H2O", "H2O", "H2O"]), "m on t.xyz")
    (figure,) = drawn
    energy, _, force, residuals = figure.axes
    assert figure.get_suptitle() == "m on t.xyz, 3 frames"
    assert energy.texts[0].get_text() == "N = 3 frames\nMAE 167, RMSE 167 meV/atom"
    assert force.texts[0].get_text() == "N = 27 components\n10 of them drawn\nMAE 100, RMSE 100 meV/Å"
    assert [text.get_text() for text in residuals.get_legend().get_texts()] == ["H: MAE 100", "O: MAE 100"]
    assert sum(len(points.get_offsets()) for points in force.collections) == 10
