"""What a model file knows of its training frames, and who is warned where a structure leaves them."""

import warnings
from pathlib import Path

import ase
import numpy as np
import pytest
from outside import covered_by, outside
from structures import STRUCTURES, dimer, ethanol, triclinic, water_box, with_calculator

from models import ELEMENTS, random_model
from spinconv.export import ExtrapolationWarning, SpinConvCalculator, export_model, read_model
from spinconv.export.bind import bind_model
from spinconv.export.check import compare
from spinconv.potential import ModelConfig

SYMBOLS = ["H", "C", "O", "Cu"]
CONFIG = ModelConfig(elements=ELEMENTS, channels=16, n_blocks=2)
TRAINED_ON = [ethanol(), triclinic()]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that was trained on an ethanol molecule and water, it says."""
    return write(tmp_path_factory.mktemp("model") / "model.pt", covered_by(TRAINED_ON, SYMBOLS))


def write(path: Path, coverage: dict | None) -> Path:
    export_model(random_model(weights_times=2.0), path, dtype="float64", coverage=coverage)
    return path


def test_the_file_says_what_its_training_frames_covered(path: Path) -> None:
    file, coverage = read_model(path), covered_by(TRAINED_ON, SYMBOLS)
    assert file.metadata["coverage"] == coverage


def test_a_bound_file_says_it_too(path: Path, tmp_path: Path) -> None:
    bind_model(path, tmp_path / "bound.pt", ethanol().numbers.tolist())
    file, bound = read_model(path), read_model(tmp_path / "bound.pt")
    assert bound.metadata["coverage"] == file.metadata["coverage"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_atoms_outside_are_those_of_loops_over_neighbours(path: Path, name: str) -> None:
    atoms, calculator = STRUCTURES[name](), SpinConvCalculator(path)
    expected = outside(atoms, covered_by(TRAINED_ON, SYMBOLS), SYMBOLS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with_calculator(atoms, calculator).get_forces()
    np.testing.assert_array_equal(calculator.outside, expected)
    assert [warning.category for warning in caught if "torch.jit" not in str(warning.message)] == [ExtrapolationWarning] * int(
        expected.any()
    )


@pytest.mark.parametrize("frame", range(len(TRAINED_ON)))
def test_a_training_frame_is_inside(path: Path, frame: int) -> None:
    calculator = SpinConvCalculator(path)  # warnings are errors here
    with_calculator(TRAINED_ON[frame], calculator).get_forces()
    assert calculator.outside is not None
    assert not calculator.outside.any()


def squeezed() -> ase.Atoms:
    atoms = ethanol()
    atoms.set_distance(2, 3, 0.7, fix=0)  # of the hydroxyl group
    return atoms


WORDS = {
    "a bond too short": (squeezed, r"atoms 2 \(O\) and 3 \(H\) are 0\.700 Å apart, the closest O and H of training were 0\.\d{3} Å apart"),
    "a pair never seen": (
        lambda: ase.Atoms("CuC", [(0, 0, 0), (0, 0, 2.5)]),
        r"atoms 0 \(Cu\) and 1 \(C\) are 2\.500 Å apart, training had no Cu and C within 5 Å",
    ),
    "an atom alone": (lambda: ase.Atoms("C"), r"atom 0 \(C\) has 0 neighbours within 5 Å, C of training had 8$"),
}


@pytest.mark.parametrize(("make", "words"), WORDS.values(), ids=WORDS)
def test_the_warning_names_atoms_and_figures(path: Path, make: object, words: str) -> None:
    calculator = SpinConvCalculator(path)
    with pytest.warns(ExtrapolationWarning, match=words) as caught:
        with_calculator(make(), calculator).get_potential_energy()
    atoms = make()
    n_outside = np.count_nonzero(outside(atoms, covered_by(TRAINED_ON, SYMBOLS), SYMBOLS))
    assert f"the model extrapolates for {n_outside} of {len(atoms)} atoms" in str(caught[0].message)


def test_a_calculator_warns_once(path: Path) -> None:
    calculator = SpinConvCalculator(path)
    with pytest.warns(ExtrapolationWarning):
        with_calculator(squeezed(), calculator).get_potential_energy()
    with_calculator(dimer(1.0), calculator).get_potential_energy()  # a second warning would be an error
    assert calculator.outside.tolist() == [True, True]
    with pytest.warns(ExtrapolationWarning):
        with_calculator(squeezed(), SpinConvCalculator(path)).get_potential_energy()


def test_a_committee_is_outside_where_one_of_its_models_is(path: Path, tmp_path: Path) -> None:
    of_water = write(tmp_path / "water.pt", covered_by([triclinic()], SYMBOLS))
    calculator = SpinConvCalculator([path, of_water])
    with pytest.warns(ExtrapolationWarning, match="training had no C and H within 5 Å"):
        with_calculator(ethanol(), calculator).get_potential_energy()
    np.testing.assert_array_equal(calculator.outside, outside(ethanol(), covered_by([triclinic()], SYMBOLS), SYMBOLS))


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_committee_the_worst_case_of_all_is_named(path: Path, tmp_path: Path, turned: bool) -> None:
    """As in the engines: a bond too short is worse than numbers of neighbours, whichever model comes first."""
    short = squeezed()
    knows_bonds = write(tmp_path / "bonds.pt", covered_by([ethanol(seed) for seed in range(3)], SYMBOLS))
    counts = covered_by([ethanol(seed) for seed in range(3)], SYMBOLS)
    counts["shortest_distances"] = dict.fromkeys(counts["shortest_distances"], 0.1)
    counts["neighbors"]["H"] = [20, 30]
    knows_counts = write(tmp_path / "counts.pt", counts)
    files = [knows_counts, knows_bonds]
    with pytest.warns(ExtrapolationWarning, match="the closest O and H of training were"):
        with_calculator(short, SpinConvCalculator(files[::-1] if turned else files)).get_potential_energy()


def test_a_file_that_does_not_know_warns_of_nothing(path: Path, tmp_path: Path) -> None:
    without = write(tmp_path / "without.pt", None)
    calculator = SpinConvCalculator(without)
    with_calculator(dimer(0.3), calculator).get_potential_energy()
    assert calculator.outside is None


def test_check_is_silent_about_its_own_structures(path: Path) -> None:
    assert compare(path, engines={})  # a warning would be an error


def test_water_is_outside_a_model_of_one_molecule(path: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "ethanol.pt", covered_by([ethanol(seed) for seed in range(20)], SYMBOLS))
    with pytest.warns(ExtrapolationWarning, match=r"for 24 of 24 atoms.*\(O\) and \d+ \(O\).*training had no O and O within 5 Å"):
        with_calculator(water_box(), SpinConvCalculator(file)).get_potential_energy()
