"""SpinConvCalculator: ASE's conventions, any cell."""

import gc
import json
import pickle
import re
import threading
import weakref
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from scipy.spatial.transform import Rotation
from structures import STRUCTURES, ethanol, rattled_fcc, slab_with_adsorbate, tiny_cell, triclinic, with_calculator
from torch_states import TORCH_STATES

from models import random_model
from spinconv.export import SpinConvCalculator, execution, export_model, native_library


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> SpinConvCalculator:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(weights_times=2.0), path)
    return SpinConvCalculator(path, dtype="float64")


@pytest.mark.parametrize("make", [ethanol, triclinic, slab_with_adsorbate])
def test_forces_are_those_that_ase_finds_by_finite_differences(calculator: SpinConvCalculator, make: object) -> None:
    atoms = with_calculator(make()[:8], calculator)
    numerical = calculate_numerical_forces(atoms, eps=2e-5)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=2e-6)  # the step squared times the third derivative, and rounding


@pytest.mark.parametrize("make", [rattled_fcc, triclinic, tiny_cell])
def test_stress_is_the_one_that_ase_finds_by_finite_differences(calculator: SpinConvCalculator, make: object) -> None:
    atoms = with_calculator(make(), calculator)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_energies_of_atoms_add_up(calculator: SpinConvCalculator, name: str) -> None:
    atoms = with_calculator(STRUCTURES[name](), calculator)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-14)


def test_a_cell_repeated_has_the_same_stress(calculator: SpinConvCalculator) -> None:
    small, large = (with_calculator(atoms, calculator) for atoms in (tiny_cell(), tiny_cell().repeat((2, 3, 2))))
    np.testing.assert_allclose(small.get_stress(), large.get_stress(), rtol=1e-10, atol=1e-14)


def test_wrapping_atoms_into_the_cell_changes_nothing(calculator: SpinConvCalculator) -> None:
    atoms = triclinic()
    wrapped = atoms.copy()
    wrapped.wrap()
    energies = [with_calculator(a, calculator).get_potential_energy() for a in (atoms, wrapped)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-13)


@pytest.mark.parametrize(("pbc", "cell", "rank"), [(False, None, 0), ((True, True, False), [6, 6, 0], 2)])
def test_without_a_volume_or_a_periodic_direction_there_is_no_stress(
    calculator: SpinConvCalculator, pbc: object, cell: object, rank: int
) -> None:
    atoms = with_calculator(ethanol(), calculator)
    atoms.pbc, atoms.cell = pbc, cell or np.zeros((3, 3))
    with pytest.raises(
        PropertyNotImplementedError, match=f"`stress` needs `atoms` that are periodic, .* and a cell of rank {rank}; molecules"
    ):
        atoms.get_stress()
    atoms.get_forces()


def slab_in_a_cell() -> ase.Atoms:
    atoms = slab_with_adsorbate()
    atoms.cell[2] = (0, 0, 25)  # as ASE's builders leave it with a vacuum
    return atoms


def test_stress_of_a_slab_is_the_one_of_finite_differences_in_its_plane_and_zero_across(calculator: SpinConvCalculator) -> None:
    atoms = with_calculator(slab_in_a_cell(), calculator)
    in_plane = [0, 1, 5]
    np.testing.assert_allclose(atoms.get_stress()[in_plane], calculate_numerical_stress(atoms, eps=1e-5)[in_plane], atol=1e-7)
    np.testing.assert_allclose(atoms.get_stress()[[2, 3, 4]], 0, atol=1e-15)


def test_a_slab_turned_in_space_has_its_stress_turned(calculator: SpinConvCalculator) -> None:
    atoms = with_calculator(slab_in_a_cell(), calculator)
    before = atoms.get_stress(voigt=False)
    rotation = Rotation.from_euler("xyz", [20, 40, 70], degrees=True).as_matrix()
    atoms.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), rotation @ before @ rotation.T, atol=1e-12)


def test_a_cell_of_a_slab_relaxes_in_its_plane(calculator: SpinConvCalculator) -> None:
    atoms = with_calculator(slab_in_a_cell(), calculator)
    heights = atoms.cell[2].copy()
    before = atoms.get_potential_energy()
    BFGS(FrechetCellFilter(atoms, mask=[1, 1, 0, 0, 0, 1]), logfile=None, maxstep=0.02).run(steps=3)
    assert atoms.get_potential_energy() < before
    np.testing.assert_allclose(atoms.cell[2], heights, atol=1e-12)


# ---- copies elsewhere


def test_a_pickled_calculator_is_the_same(calculator: SpinConvCalculator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    atoms = with_calculator(ethanol(), calculator)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    pickled = pickle.dumps(calculator)
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickled)
    assert again.results["energy"] == energy
    again.reset()
    atoms.calc = again
    assert atoms.get_potential_energy() == energy
    np.testing.assert_array_equal(atoms.get_forces(), forces)


def test_a_calculator_pickled_with_a_relative_path_is_found_elsewhere(
    calculator: SpinConvCalculator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(Path(calculator.parameters["model"]).parent)
    pickled = pickle.dumps(SpinConvCalculator("model.pt"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickled).parameters["model"] == calculator.parameters["model"]


def test_a_pickled_calculator_refuses_another_model_in_the_place_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    export_model(random_model(weights_times=2.0), path)
    pickled = pickle.dumps(SpinConvCalculator(path))
    export_model(random_model(weights_times=2.0, seed=5), path)
    with pytest.raises(ValueError, match=r"`model` must be the file that the pickled calculator was made of, .* has other weights"):
        pickle.loads(pickled)


# ---- what the caller has set in torch


@pytest.mark.parametrize("state", TORCH_STATES)
def test_what_is_set_in_torch_changes_nothing(calculator: SpinConvCalculator, state: str) -> None:
    atoms = ethanol()
    before = with_calculator(atoms, SpinConvCalculator(calculator.parameters["model"], evaluator="torch"))
    energy, forces = before.get_potential_energy(), before.get_forces()
    with TORCH_STATES[state]():
        made_within = SpinConvCalculator(calculator.parameters["model"], evaluator="torch")
        within = with_calculator(atoms.copy(), made_within)
        assert within.get_potential_energy() == energy
        np.testing.assert_array_equal(within.get_forces(), forces)
    made_within.reset()  # and it runs outside too
    np.testing.assert_array_equal(within.get_forces(), forces)


@pytest.mark.parametrize("device", ["gpu", "meta", ""])
def test_a_wrong_device_is_called_a_wrong_device(calculator: SpinConvCalculator, device: str) -> None:
    with pytest.raises(ValueError, match=f"`device` must be one that torch can use here, got '{device}'"):
        SpinConvCalculator(calculator.parameters["model"], device=device)


def test_cuda_that_is_not_there_is_missing_in_words(calculator: SpinConvCalculator) -> None:
    with pytest.raises(ValueError, match="`device` is cuda:99, but "):
        SpinConvCalculator(calculator.parameters["model"], device="cuda:99")


def test_auto_is_the_cpu_where_torch_finds_no_other_device(calculator: SpinConvCalculator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for has_driver in (True, False):  # the driver is asked first, which needs no torch
        monkeypatch.setattr(native_library, "has_gpu", lambda found=has_driver: found)
        words = repr(SpinConvCalculator(calculator.parameters["model"], device="auto"))
        assert re.search(r"on cpu, native x86-64-v\d\)$", words), words


def test_auto_is_cuda_where_torch_finds_it(calculator: SpinConvCalculator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_library, "has_gpu", lambda: True)
    if torch.cuda.is_available():
        assert repr(SpinConvCalculator(calculator.parameters["model"], device="auto")).endswith("on cuda:0, torch)")
        return
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # it is asked for then, and torch says why it is not there
    with pytest.raises(ValueError, match="got 'cuda'"):
        SpinConvCalculator(calculator.parameters["model"], device="auto")


def test_an_unknown_element_is_refused(calculator: SpinConvCalculator) -> None:
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, C, O, Cu, got He"):
        with_calculator(ase.Atoms("He"), calculator).get_potential_energy()
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, C, O, Cu, got atomic number 1000"):
        with_calculator(ase.Atoms([1000]), calculator).get_potential_energy()


@pytest.mark.parametrize("distance", [0, 1e-9, 0.009])
def test_atoms_on_top_of_each_other_are_refused(calculator: SpinConvCalculator, distance: float) -> None:
    atoms = with_calculator(ase.Atoms("CO", [(0, 0, 0), (0, 0, distance)]), calculator)
    with pytest.raises(ValueError, match=f"atoms 0 and 1 are {distance:.3g} Å apart; atoms must be at least 0.01 Å apart"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distance", [0.011, 0.05])
def test_a_trial_step_that_brings_atoms_close_is_told_how_steep_it_is(calculator: SpinConvCalculator, distance: float, dtype: str) -> None:
    """Hundreds of eV above all that a minimizer or a Monte Carlo move could accept, and forces that are the gradient there too."""
    path = calculator.parameters["model"]
    direction = np.array([0.6, 0.0, 0.8])
    atoms = with_calculator(ase.Atoms("CO", [(0, 0, 0), direction * distance]), SpinConvCalculator(path, dtype=dtype))
    apart = with_calculator(ase.Atoms("CO", [(0, 0, 0), direction * 20]), atoms.calc).get_potential_energy()
    assert atoms.get_potential_energy() > apart + 1000
    step = distance * 1e-4
    exact = with_calculator(ase.Atoms("CO", [(0, 0, 0), direction * (distance + step)]), SpinConvCalculator(path, dtype="float64"))
    higher = exact.get_potential_energy()
    exact.positions[1] = direction * (distance - step)
    slope = (higher - exact.get_potential_energy()) / (2 * step)
    np.testing.assert_allclose(atoms.get_forces()[1], -slope * direction, rtol=1e-5, atol=abs(slope) * 1e-6)


def test_precision_is_the_one_asked_for(calculator: SpinConvCalculator) -> None:
    assert calculator.model.dtype == "float64"


# ---- several models


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("committee")
    for seed in range(3):
        export_model(random_model(weights_times=2.0, seed=seed), folder / f"{seed}.pt", dtype="float64")
    return [folder / f"{seed}.pt" for seed in range(3)]


@pytest.mark.parametrize("make", [ethanol, triclinic])
def test_a_committee_is_the_mean_of_its_models_and_tells_how_far_they_are_apart(files: list[Path], make: object) -> None:
    atoms = with_calculator(make(), SpinConvCalculator(files))
    alone = [with_calculator(make(), SpinConvCalculator(file)) for file in files]
    energies, forces = (np.array([getattr(one, ask)() for one in alone]) for ask in ("get_potential_energies", "get_forces"))
    assert atoms.get_potential_energy() == pytest.approx(np.mean([one.get_potential_energy() for one in alone]), rel=1e-14)
    np.testing.assert_allclose(atoms.get_potential_energies(), energies.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), rtol=0, atol=1e-13 * np.abs(forces).max())
    apart = np.linalg.norm(forces - forces.mean(axis=0), axis=2)
    np.testing.assert_allclose(atoms.calc.get_property("force_deviation"), np.sqrt((apart**2).mean(axis=0)), rtol=1e-10)
    np.testing.assert_allclose(atoms.calc.get_property("energy_deviation"), energies.std(axis=0), rtol=1e-8, atol=1e-12)
    if atoms.pbc.all():
        np.testing.assert_allclose(atoms.get_stress(), np.mean([one.get_stress() for one in alone], axis=0), rtol=1e-12, atol=1e-14)


def test_one_model_has_no_deviation(files: list[Path]) -> None:
    with pytest.raises(PropertyNotImplementedError, match="force_deviation"):
        SpinConvCalculator(files[:1]).get_property("force_deviation", ethanol())


def test_a_committee_of_two_precisions_computes_each_in_its_own(files: list[Path], tmp_path: Path) -> None:
    export_model(random_model(weights_times=2.0), tmp_path / "single.pt")
    committee = SpinConvCalculator([files[0], tmp_path / "single.pt"])
    assert [file.dtype for file in committee.models] == ["float64", "float32"]
    deviation = committee.get_property("force_deviation", ethanol())
    assert 0 < deviation.max() < 1e-3  # what single precision costs


def test_a_committee_knows_the_elements_that_all_of_its_models_know(files: list[Path], tmp_path: Path) -> None:
    export_model(random_model((1, 8)), tmp_path / "water.pt")
    with pytest.raises(ValueError, match="`atoms` must consist of the model's elements H, O, got C"):
        with_calculator(ethanol(), SpinConvCalculator([files[0], tmp_path / "water.pt"])).get_forces()
    with pytest.raises(ValueError, match="`model` must be a model file or several, got an empty list"):
        SpinConvCalculator([])


# ---- two evaluators


@pytest.mark.parametrize("name", STRUCTURES)
def test_both_evaluators_give_the_same_numbers(calculator: SpinConvCalculator, name: str) -> None:
    """The distance networks of the native one are splines, whose error is 1e-13 of a number; sums are in another order."""
    native, torch = (
        with_calculator(STRUCTURES[name](), SpinConvCalculator(calculator.parameters["model"], "float64", evaluator=evaluator))
        for evaluator in ("native", "torch")
    )
    references = native.calc.model.metadata["reference_energies"]
    most = max(1.0, np.abs(native.get_potential_energies() - [references[symbol] for symbol in native.symbols]).max())
    np.testing.assert_allclose(native.get_potential_energies(), torch.get_potential_energies(), rtol=1e-14, atol=1e-11 * most)
    np.testing.assert_allclose(native.get_forces(), torch.get_forces(), rtol=0, atol=1e-11 * max(1, np.abs(torch.get_forces()).max()))
    if native.pbc.all():
        np.testing.assert_allclose(native.get_stress(), torch.get_stress(), rtol=0, atol=1e-11 * max(1, np.abs(torch.get_stress()).max()))


def test_calculators_work_side_by_side_in_threads(calculator: SpinConvCalculator) -> None:
    expected = with_calculator(triclinic(), calculator).get_forces()
    found: dict[int, np.ndarray] = {}

    def compute(n: int) -> None:
        own = SpinConvCalculator(calculator.parameters["model"], "float64", threads=1 + n % 2)
        for _ in range(10):
            own.reset()
            found[n] = with_calculator(triclinic(), own).get_forces()

    threads = [threading.Thread(target=compute, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for forces in found.values():
        np.testing.assert_array_equal(forces, expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"evaluator": "mine"}, "`evaluator` must be one of native, torch, got 'mine'"),
        (
            {"evaluator": "native", "device": "cuda:x"},
            "`device` must be auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>, got cuda:x",
        ),
        ({"dtype": "float16"}, "`dtype` must be one of float32, float64, got 'float16'"),
        ({"threads": -1}, r"`threads` must be 0 \(OMP_NUM_THREADS, or all processors\) to \d+, got -1"),
    ],
)
def test_what_no_evaluator_can_do_is_refused(files: list[Path], options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SpinConvCalculator(files[0], **options)


def test_a_model_that_native_is_not_for_is_evaluated_by_torch(tmp_path: Path) -> None:
    export_model(random_model(lmax=5), tmp_path / "model.pt")
    assert SpinConvCalculator(tmp_path / "model.pt").model.evaluator == "torch"
    with pytest.raises(ValueError, match="`evaluator native` is for harmonic models of `lmax` 4 at most"):
        SpinConvCalculator(tmp_path / "model.pt", evaluator="native")


# ---- as ASE has it


def test_its_repr_says_what_it_is(files: list[Path]) -> None:
    torch = SpinConvCalculator(files[0], evaluator="torch")
    assert repr(torch) == f"SpinConvCalculator('{files[0]}', elements H C O Cu, float64 on cpu, torch)"
    both = repr(SpinConvCalculator(files[:2], dtype="float32"))
    words = f"SpinConvCalculator(['{files[0]}', '{files[1]}'], elements H C O Cu, float32 on cpu, native x86-64-v"
    assert (both[:-2], both[-1]) == (words, ")")


def test_parameters_make_another_of_it(files: list[Path]) -> None:
    calculator = SpinConvCalculator(files[0], dtype="float32")
    assert calculator.parameters == {
        "model": str(files[0]), "dtype": "float32", "device": "cpu", "evaluator": None, "threads": 0,
    }  # fmt: skip
    assert calculator.todict() == {"model": str(files[0]), "dtype": "float32"}
    again = SpinConvCalculator(**json.loads(json.dumps(calculator.todict())))
    assert repr(again) == repr(calculator)


@pytest.mark.parametrize("name", ["positions", "numbers", "cell", "pbc"])
def test_what_changes_is_noticed_to_the_last_bit(calculator: SpinConvCalculator, name: str) -> None:
    calculator.calculate(triclinic())
    atoms = triclinic()
    if name == "numbers":
        atoms.numbers[:2] = atoms.numbers[1::-1]
    elif name == "pbc":
        atoms.pbc = (True, True, False)
    else:
        changed = atoms.positions if name == "positions" else atoms.cell
        changed[0, 0] = np.nextafter(changed[0, 0], np.inf)
    assert calculator.check_state(atoms) == [name]


def test_fewer_atoms_are_another_structure(calculator: SpinConvCalculator) -> None:
    calculator.calculate(triclinic())
    assert calculator.check_state(triclinic()[:-1]) == all_changes


def test_what_no_result_depends_on_is_not_computed_again(calculator: SpinConvCalculator) -> None:
    calculator.calculate(triclinic())
    results, atoms = calculator.results, triclinic()
    atoms.set_initial_charges(np.arange(len(atoms)))  # of which the model knows nothing
    calculator.get_property("forces", atoms)
    assert calculator.results is results


def test_a_parameter_that_changes_changes_the_results(files: list[Path]) -> None:
    atoms = with_calculator(ethanol(), SpinConvCalculator(files[0]))
    before = atoms.get_potential_energy()
    assert atoms.calc.set(model=str(files[1])) == {"model": str(files[1])}
    after = atoms.get_potential_energy()
    assert after == with_calculator(ethanol(), SpinConvCalculator(files[1])).get_potential_energy() != before
    with pytest.raises(
        ValueError, match="parameters of SpinConvCalculator are `model`, `dtype`, `device`, `evaluator`, `threads`, got `dtyp`"
    ):
        SpinConvCalculator(files[0], dtyp="float32")


@pytest.mark.parametrize("n_models", [1, 2])
def test_ase_gets_all_properties_that_it_has_a_name_for(files: list[Path], n_models: int) -> None:
    properties = with_calculator(triclinic(), SpinConvCalculator(files[:n_models])).get_properties(["energy", "forces", "stress"])
    assert {"energy", "free_energy", "energies", "forces", "stress"} <= set(properties)


def test_results_are_written_and_read_by_ase(files: list[Path], tmp_path: Path) -> None:
    atoms = with_calculator(triclinic(), SpinConvCalculator(files))
    forces = atoms.get_forces()
    for name in ("frame.xyz", "frame.traj", "frame.db"):
        ase.io.write(tmp_path / name, atoms)
        np.testing.assert_allclose(ase.io.read(tmp_path / name).get_forces(), forces, atol=1e-7)


def test_torch_runs_what_comes_after_as_before(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an evaluation torch does not profile, which makes the first calls slow; whoever said otherwise finds it as it was."""
    seen = []
    real = execution.energy_and_forces
    monkeypatch.setattr(execution, "energy_and_forces", lambda *given: seen.append(torch._C._get_graph_executor_optimize()) or real(*given))
    for setting in (True, False):
        with torch.jit.optimized_execution(setting):
            with_calculator(ethanol(), SpinConvCalculator(files[0], evaluator="torch")).get_forces()
            assert torch._C._get_graph_executor_optimize() == setting
    assert seen == [False] * 4  # the probe, and the molecule


def test_a_calculator_that_nobody_has_any_more_gives_its_memory_back_at_once(tmp_path: Path) -> None:
    export_model(random_model(weights_times=2.0), tmp_path / "model.pt")
    calculator = SpinConvCalculator(tmp_path / "model.pt")
    calculator.get_potential_energy(ethanol())
    gone = weakref.ref(calculator)
    gc.disable()
    try:
        del calculator
        assert gone() is None
    finally:
        gc.enable()
