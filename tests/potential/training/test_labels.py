"""Labels mean what they are taken for: the right number, or a sentence."""

import ase
import ase.io
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spinconv.potential.training.frames import DataError, Keys, Needs
from spinconv.potential.training.labels import check_keys, labelled
from spinconv.potential.training.readers import read_frames

STRESS = np.array([[0.01, 0.001, 0.002], [0.001, 0.02, 0.003], [0.002, 0.003, 0.03]])
VOIGT = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def crystal(**info) -> ase.Atoms:
    atoms = ase.Atoms("Cu2", [(0, 0, 0), (1.8, 1.8, 0)], cell=[4, 5, 6], pbc=True)
    atoms.info = {"energy": -1.0, **info}
    atoms.arrays["forces"] = np.zeros((2, 3))
    return atoms


def label(atoms: ase.Atoms, keys: Keys = Keys(), needs: Needs = Needs()):  # noqa: B008  (immutable)
    return labelled(atoms, keys, needs, "t.xyz, frame 3")


def test_a_molecule_has_no_stress():
    """Though the cell around it has a volume, and whatever the file says."""
    for said in ({"stress": STRESS}, {"virial": STRESS}, {"stress": VOIGT, "virial": STRESS}):
        atoms = crystal(**said)
        atoms.pbc = False
        assert label(atoms, needs=Needs(stress=True)).stress is None


SLAB = np.array([[0.01, 0.001, 0.0], [0.001, 0.02, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("across", [0.0, 5.0, np.nan])
def test_a_slab_has_a_stress_in_its_plane_whatever_is_said_across(across):
    said = SLAB.copy()
    said[2, :] = said[:, 2] = across
    for labels in ({"stress": said}, {"virial": -said * 120.0}, {"stress": said, "virial": -SLAB * 120.0}):
        atoms = crystal(**labels)
        atoms.pbc = (True, True, False)
        found = label(atoms, needs=Needs(stress=True))
        np.testing.assert_allclose(found.stress, SLAB, atol=1e-15)
        assert found.left_out == ("are not periodic in every direction, and their stress counts along the periodic ones alone",)
    atoms.cell[2] = 0  # no volume
    assert label(atoms, needs=Needs(stress=True)).stress is None


def test_the_stress_of_a_turned_slab_is_the_turned_stress():
    turn = Rotation.from_euler("xyz", [20, 40, 70], degrees=True).as_matrix()
    atoms = crystal(stress=turn @ (SLAB + np.diag([0, 0, 7.0])) @ turn.T)
    atoms.pbc = (True, True, False)
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    np.testing.assert_allclose(label(atoms).stress, turn @ SLAB @ turn.T, atol=1e-14)


@pytest.mark.parametrize("form", [STRESS, STRESS.ravel(), VOIGT, VOIGT[None], STRESS[None]], ids=lambda form: str(form.shape))
def test_a_virial_is_minus_stress_times_volume_in_every_form(form):
    for keys in (Keys(), Keys(virial="virial")):
        np.testing.assert_allclose(label(crystal(virial=-form * 120.0), keys).stress, STRESS)
    np.testing.assert_allclose(label(crystal(stress=form)).stress, STRESS)


def test_virials_are_converted_with_the_energies(tmp_path):
    ase.io.write(tmp_path / "t.xyz", crystal(w=-STRESS * 120.0), format="extxyz")
    plain = read_frames(tmp_path / "t.xyz", keys=Keys(virial="w"))
    np.testing.assert_allclose(plain.frames[0].stress, STRESS)
    assert plain.notes == ("t.xyz: the stress is -`w` / volume",)
    converted = read_frames(tmp_path / "t.xyz", "kJ/mol", "nm", Keys(virial="w")).frames[0]
    np.testing.assert_allclose(converted.stress, -(-STRESS * 120.0 * ase.units.kJ / ase.units.mol) / (120.0 * 1000))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            Keys(stress="REF_virials"),
            "`data.stress_key` names `REF_virials`, which by its name is a virial (an energy, -stress * volume); "
            "name it in `data.virial_key`",
        ),
        (
            Keys(virial="dft_stress"),
            "`data.virial_key` names `dft_stress`, which by its name is a stress (energy per volume); name it",
        ),
        (Keys(stress="a", virial="b"), "takes `data.stress_key` or `data.virial_key`, not both, got `a` and `b`"),
        (Keys(energy="energy_per_atom"), "`data.energy_key` names `energy_per_atom`, which by its name is an energy per atom"),
        (
            Keys(forces="Gradient"),
            "`data.forces_key` names `Gradient`, which by its name is a gradient of the energy; forces are minus that",
        ),
    ],
)
def test_names_that_say_something_else_are_refused(keys, sentence):
    with pytest.raises(DataError) as error:
        check_keys(keys)
    assert str(error.value).startswith(sentence)


def test_a_stress_and_a_virial_must_be_the_same_one():
    both = crystal(stress=STRESS, virial=-STRESS * 120.0)
    np.testing.assert_allclose(label(both, needs=Needs(stress=True)).stress, STRESS)
    both.info["virial"] = STRESS * 120.0  # another sign
    with pytest.raises(DataError, match=r"t.xyz, frame 3: `stress` and -`virial` / volume differ; name the right one in `data.stress_key`"):
        label(both, needs=Needs(stress=True))
    assert label(both).stress is None
    assert "`data.stress_key` or `data.virial_key` says which is right" in label(both).left_out[0]
    np.testing.assert_allclose(label(both, Keys(stress="stress")).stress, STRESS)
    np.testing.assert_allclose(label(both, Keys(virial="virial")).stress, -STRESS)


def test_without_a_volume_there_is_no_stress():
    for cell in (None, [4, 5, 0]):
        atoms = ase.Atoms("Cu", cell=cell, info={"energy": -1.0, "virial": np.zeros((3, 3)), "stress": np.zeros(6)})
        assert label(atoms, needs=Needs(stress=True)).stress is None


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ({"energy": np.array([1.0, 2.0, 3.0])}, "`energy` must be one number, the energy of the frame, got 3 of them"),
        ({"energy": np.array([1.0, 2.0])}, "`energy` must be one number, the energy of the frame, got one for each atom"),
        ({"energy": True}, "`energy` must be real numbers, got True"),
        ({"energy": "-1.0 eV"}, "`energy` must be real numbers, got '-1.0 eV'"),
        ({"energy": 1 + 2j}, "`energy` must be real numbers, got (1+2j)"),
        ({"stress": np.zeros(5)}, "`stress` must be 3 x 3, nine or six numbers, got 5"),
        ({"virial": np.zeros((3, 2))}, "`virial` must be 3 x 3, nine or six numbers, got 3 x 2"),
        ({"virial": [[1.0], [2.0, 3.0]]}, "`virial` must be real numbers, got [[1.0], [2.0, 3.0]]"),
    ],
)
def test_what_is_no_such_label_is_refused(info, sentence):
    with pytest.raises(DataError) as error:
        label(crystal(**info))
    assert str(error.value).startswith(f"t.xyz, frame 3: {sentence}")


def test_a_column_of_atoms_is_no_energy_of_a_frame():
    for n in (1, 2):
        atoms = ase.Atoms("Cu" * n, [(0, 0, 2.5 * k) for k in range(n)])
        atoms.arrays["e"] = np.full(n, -1.0)
        with pytest.raises(DataError, match=r"`e` must be one number, the energy of the frame, got one for each atom"):
            label(atoms, Keys(energy="e"))


@pytest.mark.parametrize("quantity", ["energy", "forces", "stress"])
def test_nan_is_refused_where_it_is_learned_and_left_out_elsewhere(quantity):
    atoms = crystal(stress=STRESS)
    for place in (atoms.info, atoms.arrays):
        if quantity in place:
            place[quantity] = np.array(place[quantity], dtype=float) * np.nan
    with pytest.raises(DataError, match=f"t.xyz, frame 3: {quantity}: not a finite number"):
        label(atoms, needs=Needs(True, True, True))
    frame = label(atoms, needs=Needs(True, True, True)._replace(**{quantity: False}))
    assert getattr(frame, quantity) is None or np.isnan(frame.energy)
    assert frame.left_out == (f"have NaN as {quantity}, left out",)


def test_what_the_file_calls_an_isolated_atom_is_one():
    for said, truth in (("IsolatedAtom", True), ("isolated_atom", True), ("bulk", False)):
        assert label(ase.Atoms("Cu", info={"energy": 1.0, "config_type": said})).called_isolated is truth


def test_an_atom_alone_or_of_a_lattice_feels_no_force():
    for pbc in (False, True):
        frame = label(ase.Atoms("Cu", cell=[3, 3, 3], pbc=pbc, info={"energy": -1.0}))
        assert frame.forces.tolist() == [[0.0, 0.0, 0.0]]
        assert frame.left_out == ("have one atom and no forces, which are taken as 0",)
