"""Every array of an archive is used, refused, or one that certainly means nothing here."""

import ase
import numpy as np
import pytest

from spinconv.potential.training import npz
from spinconv.potential.training.frames import DataError, Keys
from spinconv.potential.training.readers import read_frames

CELL = np.array([[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [0.5, 0.25, 8.0]])


def archive(path, n_frames: int = 4, **changes):
    """Frames of three atoms in ASE's names, with changes laid over; None takes an array away."""
    rng = np.random.default_rng(0)
    arrays = {
        "numbers": np.array([8, 1, 1]),
        "positions": rng.normal(size=(n_frames, 3, 3)) + np.array([(0, 0, 0), (2, 0, 0), (0, 2, 0)]),
        "energy": rng.normal(size=n_frames),
        "forces": rng.normal(size=(n_frames, 3, 3)),
    }
    arrays = {name: value for name, value in {**arrays, **changes}.items() if value is not None}
    np.savez(path, **arrays)
    return arrays


def test_the_lattice_of_sgdml_has_its_vectors_as_columns(tmp_path):
    made = archive(tmp_path / "a.npz")
    sgdml = {"z": made["numbers"], "R": made["positions"], "E": made["energy"], "F": made["forces"]}
    np.savez(tmp_path / "sgdml.npz", **sgdml, lattice=CELL.T, e_unit="eV", r_unit="Ang", type="d", md5="0", theory="x", E_min=-1.0)
    for frame in read_frames(tmp_path / "sgdml.npz").frames:
        np.testing.assert_array_equal(frame.atoms.cell.array, CELL)
        assert frame.atoms.pbc.all()


@pytest.mark.parametrize("r_unit", [{"r_unit": "Bohr"}, {"r_unit": "Bohr", "e_unit": "Hartree"}], ids=str)
def test_units_are_read_one_by_one(tmp_path, r_unit):
    made = archive(tmp_path / "a.npz", **r_unit)
    frame = read_frames(tmp_path / "a.npz").frames[0]
    np.testing.assert_allclose(frame.atoms.positions, made["positions"][0] * ase.units.Bohr)
    assert frame.energy == pytest.approx(made["energy"][0] * (ase.units.Hartree if "e_unit" in r_unit else 1.0))


def test_what_older_archives_say_in_bytes_is_read(tmp_path):
    made = archive(
        tmp_path / "a.npz", r_unit=np.array([b"Ang"]), e_unit=np.array(b"kcal/mol"), name=np.array(b"water"), type=np.array(b"d")
    )
    file = read_frames(tmp_path / "a.npz")
    assert file.units == "a.npz: 4 frames in kcal/mol and Angstrom (stated in the file)"
    np.testing.assert_allclose(file.frames[0].atoms.positions, made["positions"][0])


def test_the_archives_of_revised_md17_have_the_labels_of_md17_beside_their_own(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"nuclear_charges": np.array([8, 1, 1]), "coords": rng.normal(size=(4, 3, 3)), "old_indices": np.array([5, 2, 9, 0])}
    arrays |= {"energies": np.arange(4.0), "forces": rng.normal(size=(4, 3, 3))}
    arrays |= {"old_energies": np.arange(4.0) + 10, "old_forces": rng.normal(size=(4, 3, 3))}
    np.savez(tmp_path / "rmd17_water.npz", **arrays)
    kcal = ase.units.kcal / ase.units.mol
    for energy, forces, keys in (("energies", "forces", Keys()), ("old_energies", "old_forces", Keys("old_energies", "old_forces"))):
        file = read_frames(tmp_path / "rmd17_water.npz", keys=keys)
        assert file.units.endswith("in kcal/mol and Angstrom (by the npz layout nuclear_charges coords energies forces)")
        np.testing.assert_allclose([frame.energy for frame in file.frames], arrays[energy] * kcal)
        np.testing.assert_allclose(file.frames[3].forces, arrays[forces][3] * kcal)


def test_cells_and_periodicity_of_each_frame(tmp_path):
    pbc = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=bool)
    archive(tmp_path / "a.npz", cell=np.array([CELL * (1 + 0.1 * k) for k in range(4)]), pbc=pbc)
    for k, frame in enumerate(read_frames(tmp_path / "a.npz").frames):
        np.testing.assert_allclose(frame.atoms.cell.array, CELL * (1 + 0.1 * k))
        assert frame.atoms.pbc.tolist() == pbc[k].tolist()
    for given, expected in ((True, [True] * 3), ([1, 1, 0], [True, True, False]), (np.array([1, 1, 1, 1]), [True] * 3)):
        archive(tmp_path / "a.npz", cell=CELL, pbc=given)
        assert read_frames(tmp_path / "a.npz").frames[3].atoms.pbc.tolist() == expected


def test_virials_and_stresses_of_six_or_nine_numbers(tmp_path):
    stress = np.array([[0.01, 0.004, 0.005], [0.004, 0.02, 0.006], [0.005, 0.006, 0.03]])
    voigt = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    volume = np.linalg.det(CELL)
    for name, value in (("stress", voigt), ("stress", stress), ("virials", -voigt * volume), ("virial", -stress.ravel() * volume)):
        archive(tmp_path / "a.npz", cell=CELL, **{name: np.array([value] * 4)})
        np.testing.assert_allclose(read_frames(tmp_path / "a.npz").frames[2].stress, stress)
    archive(tmp_path / "a.npz", cell=CELL, w=np.array([-voigt * volume] * 4))
    np.testing.assert_allclose(read_frames(tmp_path / "a.npz", keys=Keys(virial="w")).frames[2].stress, stress)


def test_labels_of_other_names_are_taken_where_they_are_named(tmp_path):
    made = archive(tmp_path / "a.npz", better=np.arange(4.0))
    assert [frame.energy for frame in read_frames(tmp_path / "a.npz", keys=Keys(energy="better")).frames] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"a.npz: has the array `better`, which may mean something and is not known"):
        read_frames(tmp_path / "a.npz")
    assert made["energy"][1] != 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"numbers": [1.9, 1, 1]}, "`numbers` must be whole atomic numbers, got 1.9"),
        ({"numbers": np.array([8, 1, 1 + 0j])}, "`numbers` must be real numbers"),
        ({"numbers": np.array([8, 1])}, "`numbers` must be 4 x 3, a part for each frame, got 2"),
        ({"numbers": np.array([200, 1, 1])}, "frame 0: atom 0 has no chemical element, its atomic number is 200"),
        ({"forces": np.zeros((5, 3, 3))}, "`forces` must be 4 x 3 x 3, a part for each frame, got 5 x 3 x 3"),
        ({"energy": np.zeros(5)}, "`energy` must be 4 or 4 x 1, a part for each frame, got 5"),
        ({"energy": np.zeros((4, 3))}, "`energy` must be 4 or 4 x 1, a part for each frame, got 4 x 3"),
        ({"energy": np.zeros(4, dtype=bool)}, "`energy` must be real numbers"),
        ({"positions": np.zeros((3, 3))}, "`positions` must be frames x atoms x 3, got 3 x 3"),
        ({"cell": np.zeros((4, 3))}, "`cell` must be 4 x 3 x 3, a part for each frame, got 4 x 3"),
        ({"lattice": CELL}, "`lattice` is known of sGDML's archives (z R E F) alone; call it `cell`, with lattice vectors as rows"),
        ({"cell": CELL, "pbc": np.ones((2, 3))}, "`pbc` must be true or false for all, three of them, or that for each frame, got 2 x 3"),
        ({"cell": CELL, "pbc": np.full(3, 0.5)}, "`pbc` must be true or false"),
        ({"pbc": True}, "frame 0: is periodic but its cell has no volume"),
        ({"cell": CELL, "virials": np.zeros((4, 5))}, "`virials` must be 4 x 3 x 3 or 4 x 9 or 4 x 6, a part for each frame, got 4 x 5"),
        ({"field": np.zeros((4, 3))}, "has the array `field`, which may mean something and is not known"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, changes, sentence):
    archive(tmp_path / "a.npz", **changes)
    with pytest.raises(DataError) as error:
        read_frames(tmp_path / "a.npz")
    assert sentence in str(error.value)
    assert "a.npz" in str(error.value)


def test_three_frames_leave_open_what_three_values_of_pbc_are(tmp_path):
    archive(tmp_path / "a.npz", n_frames=3, cell=CELL, pbc=[True, True, False])
    with pytest.raises(DataError, match=r"`pbc` of 3 values may be of 3 axes or 3 frames; give 3 x 3"):
        read_frames(tmp_path / "a.npz")


def test_an_archive_that_would_not_fit_into_the_memory_is_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", energy=np.zeros(1_000_000))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    monkeypatch.setattr(npz, "available_memory", lambda: 1_000_000)
    with pytest.raises(DataError, match=r"a.npz: has 8 MB of arrays, 1 MB of memory are free; cut it into smaller files"):
        read_frames(tmp_path / "a.npz")
