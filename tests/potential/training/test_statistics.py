import ase
import numpy as np
import pytest
import torch

from spinconv.potential.training.data import GraphDataset
from spinconv.potential.training.frames import DataError, Frame
from spinconv.potential.training.statistics import (
    average_neighbors,
    check_references,
    force_rms,
    given_energies,
    isolated_atoms,
    scale,
    shift,
    statistics,
)


def frame_of(symbols: str, energy: float, force: float = 1.0) -> Frame:
    n_atoms = len(ase.Atoms(symbols))
    atoms = ase.Atoms(symbols, [(1.5 * k, 0, 0) for k in range(n_atoms)])
    return Frame(atoms, energy, np.full((n_atoms, 3), force), None, f"{symbols}.xyz, frame 0")


def test_least_squares_finds_the_energies_of_a_sum_of_atoms():
    truth = {1: -13.0, 8: -430.0}
    frames = [frame_of(s, sum(truth[z] for z in ase.Atoms(s).numbers)) for s in ("H2O", "H2", "O2", "HO", "H2O2")]
    found = shift(frames, [1, 8], np.zeros(2))
    np.testing.assert_allclose(found, [-13.0, -430.0], rtol=1e-10)


def test_for_a_single_composition_every_element_shares_the_binding_energy_alike():
    alone = np.array([-13.0, -430.0])
    frames = [frame_of("H2O", -456.0 - 9.0 + noise) for noise in (-0.1, 0.0, 0.1)]
    np.testing.assert_allclose(shift(frames, [1, 8], alone), [-3.0, -3.0], atol=1e-10)


def test_statistics_are_the_given_energies_the_force_rms_and_the_mean_number_of_neighbours():
    frames = [frame_of("H2", -27.0, force=2.0), frame_of("H3", -41.0, force=1.0)]
    graphs = GraphDataset(frames, 2.0, torch.float64)  # 1.5 Å apart: chains with 2 and 4 edges
    found = statistics(frames, graphs, [1], {1: -13.5}, fit=False)
    assert found.reference_energies == [-13.5]
    assert found.scale == force_rms(frames) == pytest.approx(np.sqrt((2 * 4 + 3 * 1) / 5))
    assert found.average_neighbors == average_neighbors(graphs) == pytest.approx(6 / 5)


def test_the_scale_is_that_of_the_forces_or_of_what_the_references_leave_and_never_zero():
    without = [frame_of(s, e)._replace(forces=None) for s, e in (("H2", -29.0), ("H3", -43.5), ("H2", np.nan))]
    assert force_rms(without) == 0.0
    alone = np.array([-13.5])
    assert scale(without, [1], alone) == pytest.approx(1.0)  # -2 eV of two atoms, -3 of three
    assert scale(without, [1], np.array([-12.5])) == pytest.approx(2.0)
    assert scale([*without, frame_of("H2", -29.0, force=0.5)], [1], alone) == 0.5
    assert scale([frame_of("H2", -27.0, force=0.0)], [1], alone) == 1.0


def test_a_missing_reference_energy_is_refused():
    frames = [frame_of("H", -13.6), frame_of("H2O", -470.0)]
    with pytest.raises(
        DataError,
        match=r"alone.xyz: has no frame of an isolated O atom \(no other within the cutoff, 5 Å\), an element",
    ):
        isolated_atoms(frames, [1, 8], "alone.xyz", 5.0)
    with pytest.raises(DataError, match=r"c.yaml: `reference_energies` lacks O atom"):
        given_energies({1: -13.6}, [1, 8], "c.yaml")
    assert isolated_atoms(frames, [1], "alone.xyz", 5.0) == {1: -13.6}


def test_energies_in_other_units_than_the_references_are_refused():
    with pytest.raises(DataError, match=r"H2.xyz, frame 0: its energy is -300 eV per atom away from the reference energies"):
        check_references([frame_of("H2", -627.0)], [1], [-13.5])
    check_references([frame_of("H2", -32.0)], [1], [-13.5])


def crystal(side: float, energy: float, called_isolated: bool = False) -> Frame:
    atoms = ase.Atoms("H", cell=[side] * 3, pbc=True)
    return Frame(atoms, energy, np.zeros((1, 3)), None, f"a.xyz, frame of {side} Å", called_isolated)


def test_an_atom_is_isolated_where_no_image_of_it_is_within_the_cutoff():
    frames = [crystal(12.0, -13.6), crystal(3.0, -15.0), crystal(4.9, -14.0)]
    assert isolated_atoms(frames, [1], "a.xyz", 5.0) == {1: -13.6}
    with pytest.raises(DataError, match=r"a.xyz: has no frame of an isolated H atom \(no other within the cutoff, 5 Å\)"):
        isolated_atoms(frames[1:], [1], "a.xyz", 5.0)
    assert isolated_atoms([*frames, crystal(3.0, -13.5, called_isolated=True)], [1], "a.xyz", 5.0) == {1: -13.5}  # the file knows best


def test_an_atom_in_a_cell_without_room_is_refused_with_its_frame():
    atom = Frame(ase.Atoms("H", cell=[0.05] * 3, pbc=True), -1.0, None, None, "a.xyz, frame 3")
    with pytest.raises(DataError, match=r"^a.xyz, frame 3: the periodic cell of 0.000125 Å³ is too small for 1 atoms"):
        isolated_atoms([atom], [1], "a.xyz", cutoff=5.0)


def test_isolated_atoms_of_an_element_must_have_one_energy():
    assert isolated_atoms([crystal(12.0, -13.6), crystal(14.0, -13.6004)], [1], "a.xyz", 5.0) == {1: -13.6}
    with pytest.raises(DataError) as error:
        isolated_atoms([crystal(12.0, -13.6), crystal(14.0, -13.7)], [1], "a.xyz", 5.0)
    assert str(error.value) == (
        "a.xyz: has isolated atoms of H with energies from -13.7000 eV (a.xyz, frame of 14.0 Å) to -13.6000 eV (a.xyz, frame of 12.0 Å); "
        "leave the right one, or give `reference_energies: {H: ...}`"
    )


def test_frames_without_an_energy_do_not_count_in_the_fit():
    frames = [frame_of("H2", -27.0), frame_of("H2", np.nan), frame_of("H3", -40.5)]
    np.testing.assert_allclose(shift(frames, [1], np.zeros(1)), [-13.5])
    assert shift(frames[1:2], [1], np.zeros(1)).tolist() == [0.0]
