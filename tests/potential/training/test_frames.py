import ase.db
import ase.io
import numpy as np
import pytest
from ase import units

from spinconv.potential.training import readers
from spinconv.potential.training.frames import DataError, Keys, Needs, check_elements, elements_of, fingerprint, split
from spinconv.potential.training.readers import read_frames

KCAL = units.kcal / units.mol


def write_npz(path, clusters, **change):
    """Frames of the first composition in MD17's layout, kcal/mol."""
    same = clusters[::2]
    arrays = {
        "z": same[0].numbers,
        "R": np.array([atoms.positions for atoms in same]),
        "E": np.array([[atoms.get_potential_energy() / KCAL] for atoms in same]),
        "F": np.array([atoms.get_forces() / KCAL for atoms in same]),
    }
    np.savez(path, **{**arrays, **change})
    return same


def write_lines(path, labels: str, rows: list[str], properties: str = "species:S:1:pos:R:3:forces:R:3"):
    path.write_text("\n".join([str(len(rows)), f'Properties={properties} {labels} pbc="F F F"', *rows]) + "\n")


def test_md17_archives_agree_with_extxyz(tmp_path, clusters):
    same = write_npz(tmp_path / "md17.npz", clusters)
    ase.io.write(tmp_path / "same.xyz", same)
    archive, text = read_frames(tmp_path / "md17.npz"), read_frames(tmp_path / "same.xyz")
    assert "kcal/mol" in archive.units
    assert "z R E F" in archive.units
    assert "in eV" in text.units
    for a, b in zip(archive.frames, text.frames, strict=True):
        np.testing.assert_allclose(a.energy, b.energy, rtol=1e-12)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-7)  # extxyz writes eight decimals
        np.testing.assert_allclose(a.atoms.positions, b.atoms.positions, atol=1e-7)


def test_declared_units_are_converted(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters[:2])
    plain = read_frames(tmp_path / "t.xyz").frames[0]
    declared = read_frames(tmp_path / "t.xyz", "Hartree", "Bohr").frames[0]
    assert declared.energy == pytest.approx(plain.energy * units.Hartree)
    np.testing.assert_allclose(declared.atoms.positions, plain.atoms.positions * units.Bohr)
    np.testing.assert_allclose(declared.forces, plain.forces * units.Hartree / units.Bohr)


def test_declared_units_win_over_the_layout_but_not_over_the_file(tmp_path, clusters):
    write_npz(tmp_path / "md17.npz", clusters)
    assert "in eV" in read_frames(tmp_path / "md17.npz", "eV").units
    write_npz(tmp_path / "sgdml.npz", clusters, e_unit="kcal/mol", r_unit="Ang")
    assert "stated in the file" in read_frames(tmp_path / "sgdml.npz").units
    with pytest.raises(DataError, match=r"the file says its unit is kcal/mol, `data.units` says eV; take `data.units` out"):
        read_frames(tmp_path / "sgdml.npz", "eV")


def test_ase_databases_agree_with_extxyz(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters[:3])
    with ase.db.connect(tmp_path / "t.db") as database:
        for atoms in clusters[:3]:
            database.write(atoms)
    for a, b in zip(read_frames(tmp_path / "t.db").frames, read_frames(tmp_path / "t.xyz").frames, strict=True):
        assert a.energy == pytest.approx(b.energy)
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-7)


def test_databases_that_state_their_units_are_converted(tmp_path, clusters):
    with ase.db.connect(tmp_path / "t.db") as database:
        atoms = clusters[0].copy()
        database.write(atoms, data={"U0": np.array([-2.0]), "F": np.zeros((4, 3))})
        database.metadata = {"_property_unit_dict": {"U0": "Ha"}, "_distance_unit": "Ang"}
    file = read_frames(tmp_path / "t.db", keys=Keys("U0", "F"))
    assert file.frames[0].energy == pytest.approx(-2 * units.Hartree)


def test_stress_is_read_in_every_form(tmp_path):
    atoms = ase.Atoms("Cu2", [(0, 0, 0), (1.8, 1.8, 0)], cell=[4, 5, 6], pbc=True)
    stress = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
    atoms.info = {"energy_": -1.0, "full": stress, "voigt": stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]}
    atoms.arrays["forces_"] = np.zeros((2, 3))
    ase.io.write(tmp_path / "t.xyz", atoms)
    for key in ("full", "voigt"):
        np.testing.assert_allclose(read_frames(tmp_path / "t.xyz", keys=Keys("energy_", "forces_", key)).frames[0].stress, stress)
    atoms.info["virial"] = -stress * atoms.get_volume()
    ase.io.write(tmp_path / "v.xyz", atoms)
    np.testing.assert_allclose(read_frames(tmp_path / "v.xyz", keys=Keys("energy_", "forces_")).frames[0].stress, stress)


GOOD = ["H 0 0 0 0 0 0", "H 0 0 0.74 0 0 0"]


@pytest.mark.parametrize(
    ("labels", "rows", "sentence"),
    [
        ("", GOOD, "bad.xyz, frame 0: has no energy (`energy`); name the right one in `data.energy_key`; the frame has forces"),
        ("energy=nan", GOOD, "bad.xyz, frame 0: energy: not a finite number"),
        ("energy=-1.0", ["H 0 0 0 0 0 0", "H 0 0 nan 0 0 0"], "bad.xyz, frame 0: positions: not a finite number"),
        ("energy=-1.0", ["H 0 0 0 0 0 0", "H 0 0 0.7 0 inf 0"], "bad.xyz, frame 0: forces: not a finite number"),
        (
            "energy=-1.0",
            ["H 0 0 0 0 0 0", "H 0 0 0.7 0 1e300 0"],
            "bad.xyz, frame 0: forces: a number beyond 1e+100, whose square cannot be computed",
        ),
    ],
)
def test_a_bad_frame_is_refused_with_its_name(tmp_path, labels, rows, sentence):
    write_lines(tmp_path / "bad.xyz", labels, rows)
    with pytest.raises(DataError) as error:
        read_frames(tmp_path / "bad.xyz")
    assert str(error.value) == sentence


def test_frames_without_forces_are_refused_unless_only_energies_are_learned(tmp_path):
    write_lines(tmp_path / "bad.xyz", "energy=-1.0", ["H 0 0 0", "H 0 0 0.7"], "species:S:1:pos:R:3")
    with pytest.raises(DataError) as error:
        read_frames(tmp_path / "bad.xyz")
    assert str(error.value) == "bad.xyz, frame 0: has no forces (`forces`); name the right ones in `data.forces_key`; the frame has energy"
    assert read_frames(tmp_path / "bad.xyz", needs=Needs(forces=False)).frames[0].forces is None


def test_a_later_frame_is_named_by_its_number(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters[:3])
    with (tmp_path / "t.xyz").open("a") as file:
        file.write("2\nProperties=species:S:1:pos:R:3 energy=-1\nH 0 0 0\nH 0 0 1\n")
    with pytest.raises(DataError, match=r"t.xyz, frame 3: has no forces"):
        read_frames(tmp_path / "t.xyz")


def test_a_bad_file_is_refused(tmp_path, clusters):
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "text.xyz").write_text("these are no frames\n")
    np.savez(tmp_path / "odd.npz", a=np.zeros(3))
    write_npz(tmp_path / "short.npz", clusters, E=np.zeros(2))
    for name, sentence in (
        ("nothing.xyz", "there is no such file"),
        ("empty.xyz", "the file is empty"),
        ("text.xyz", "cannot be read"),
        ("odd.npz", r"has the arrays a; known npz layouts are \(z R E F\)"),
        ("short.npz", "`E` must be 12 or 12 x 1, a part for each frame, got 2"),
    ):
        with pytest.raises(DataError, match=f"{name}: {sentence}"):
            read_frames(tmp_path / name)


@pytest.mark.parametrize(
    ("labels", "rows", "properties", "sentence"),
    [
        ("energy=-1", ["1.9 0 0 0", "1 0 0 1"], "Z:R:1:pos:R:3", "the column `Z` must be whole atomic numbers (`Z:I:1`), got `Z:R`"),
        ("energy=-1", ["200 0 0 0", "1 0 0 1"], "Z:I:1:pos:R:3", "frame 0: atom 0 has no chemical element, its atomic number is 200"),
        (
            'energy="1 2 3"',
            ["H 0 0 0", "H 0 0 1"],
            "species:S:1:pos:R:3",
            "frame 0: `energy` must be one number, the energy of the frame",
        ),
        ("energy=T", ["H 0 0 0", "H 0 0 1"], "species:S:1:pos:R:3", "frame 0: `energy` must be real numbers, got True"),
        ("", ["H 0 0 0 -1", "H 0 0 1 -2"], "species:S:1:pos:R:3:energy:R:1", "frame 0: `energy` must be one number"),
        (
            "energy=-1 energy=-2",
            ["H 0 0 0", "H 0 0 1"],
            "species:S:1:pos:R:3",
            "frame 0: cannot be read: the comment line has `energy` twice",
        ),
        ('energy=-1 note="energy=-2 in kcal"', ["H 0 0 0", "H 0 0 1"], "species:S:1:pos:R:3", None),
        ("energy=-1", ["H 0 0 0", "H 0 0 1"], "species:S:1:pos:R:3", None),
    ],
)
def test_an_extended_xyz_is_taken_at_its_word(tmp_path, labels, rows, properties, sentence):
    (tmp_path / "t.xyz").write_text("\n".join([str(len(rows)), f"Properties={properties} {labels}", *rows]) + "\n")
    if sentence is None:
        assert read_frames(tmp_path / "t.xyz", needs=Needs(forces=False)).frames[0].energy == -1
        return
    with pytest.raises(DataError) as error:
        read_frames(tmp_path / "t.xyz", needs=Needs(forces=False))
    assert sentence in str(error.value)


@pytest.mark.parametrize("name", ["stress", "REF_stress"])
def test_six_numbers_of_an_extended_xyz_are_voigt_s(tmp_path, name):
    row = '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 energy=-1 {}="{}"\nH 0 0 0\n'
    (tmp_path / "t.xyz").write_text(row.format(name, ".1 .2 .3 .4 .5 .6"))
    wanted = [[0.1, 0.6, 0.5], [0.6, 0.2, 0.4], [0.5, 0.4, 0.3]]
    np.testing.assert_array_equal(read_frames(tmp_path / "t.xyz", keys=Keys(stress=name)).frames[0].stress, wanted)
    (tmp_path / "t.xyz").write_text(row.format(name, ".1 .2 .3 .4 .5 .6") + row.format(name, "1 2 3 4 5"))
    with pytest.raises(DataError, match=r"t\.xyz, frame 1: "):
        read_frames(tmp_path / "t.xyz", keys=Keys(stress=name))


@pytest.mark.parametrize("pbc", ["T T T", "T T F"])
def test_what_is_periodic_has_a_cell(tmp_path, pbc):
    (tmp_path / "t.xyz").write_text(f'1\nProperties=species:S:1:pos:R:3 energy=-1 pbc="{pbc}"\nH 0 0 0\n')
    with pytest.raises(DataError, match=r"t.xyz, frame 0: is periodic but its cell has no volume"):
        read_frames(tmp_path / "t.xyz")


def test_an_unknown_element_is_refused(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters[:2])
    frames = read_frames(tmp_path / "t.xyz").frames
    assert elements_of(frames) == [13, 29]
    check_elements(frames, [13, 29], "the model")
    with pytest.raises(DataError) as error:
        check_elements(frames, [1, 29], "the model")
    assert str(error.value) == "t.xyz, frame 0: has the element Al, the model knows H Cu"


def test_a_split_loses_no_frame_and_depends_on_its_seed(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters)
    frames = read_frames(tmp_path / "t.xyz").frames
    train, validation = split(frames, 5, seed=0)
    assert (len(train), len(validation)) == (19, 5)
    assert {f.name for f in train} | {f.name for f in validation} == {f.name for f in frames}
    assert fingerprint(train) == fingerprint(split(frames, 5, seed=0)[0])
    assert fingerprint(train) != fingerprint(split(frames, 5, seed=1)[0])


def test_the_fingerprint_sees_every_number(tmp_path, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters[:1])
    (frame,) = read_frames(tmp_path / "t.xyz").frames
    forces = frame.forces.copy()
    forces[2, 1] += 1e-8
    assert fingerprint([frame]) != fingerprint([frame._replace(forces=forces)])


def test_a_file_larger_than_the_memory_is_refused_with_a_figure(tmp_path, monkeypatch, clusters):
    ase.io.write(tmp_path / "t.xyz", clusters)
    size = (tmp_path / "t.xyz").stat().st_size
    monkeypatch.setattr(readers, "available_memory", lambda: size)
    read_frames(tmp_path / "t.xyz")
    monkeypatch.setattr(readers, "available_memory", lambda: size - 1)
    with pytest.raises(DataError, match=r"t.xyz: has 0 MB, needs as much memory at least, and 0 MB are free; cut it into smaller files"):
        read_frames(tmp_path / "t.xyz")


def test_an_atom_alone_needs_no_forces(tmp_path, clusters):
    write_lines(tmp_path / "t.xyz", "energy=-1.5", ["Cu 0 0 0"], "species:S:1:pos:R:3")
    assert read_frames(tmp_path / "t.xyz").frames[0].forces.tolist() == [[0.0, 0.0, 0.0]]
