"""QM9 in its own layout: texts with odd numbers, in files, folders and tars."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ase import units

from spinconv.potential.training import qm9
from spinconv.potential.training.frames import DataError, Keys, Needs
from spinconv.potential.training.readers import read_frames
from spinconv.potential.training.survey import find_labels

METHANE = (
    "5\n"
    "gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t-40.47893\t-40.476062\t-40.475117\t"
    "-40.498597\t6.469\t\n"
    "C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689\n"
    "H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921\n"
    "H\t 1.0117308433\t 1.4637511618\t 2.765*^-4\t 0.133922\n"
    "H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923\n"
    "H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923\n"
    "1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078\n"
    "C\tC\t\n"
    "InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4\n"
)
CYANIDE = (
    "3\n"
    "gdb 5\t0.\t44.593883\t44.593883\t2.8937\t12.99\t-0.3604\t0.0191\t0.3796\t48.7476\t0.016601\t-93.411888\t-93.40937\t-93.408425\t"
    "-93.431246\t6.278\t\n"
    "C\t-1.33239314*^-2\t 1.1324657151\t 8.2758861*^-3\t-3.9*^-6\n"
    "N\t 2.3107*^-3\t-0.0191585871\t 1.9287*^-3\t-0.165105\n"
    "H\t-0.0278027\t 2.1989492\t 1.415379*^-2\t 0.165109\n"
    "799.2\t799.2\t2213.9\t3466.7\n"
    "C#N\tC#N\t\n"
    "InChI=1S/CHN/c1-2/h1H\tInChI=1S/CHN/c1-2/h1H\n"
)
ALONE = Needs(forces=False)
U0 = Keys(energy="U0")


def write_folder(path: Path) -> Path:
    """The two molecules as a folder of QM9's files."""
    path.mkdir()
    for number, text in ((5, CYANIDE), (1, METHANE)):
        (path / f"dsgdb9nsd_{number:06d}.xyz").write_text(text)
    (path / "readme.txt").write_text("not a molecule")
    return path


def write_tar(path: Path) -> Path:
    """The two molecules as a tar, not in the order of their numbers."""
    with tarfile.open(path, "w:bz2") as archive:
        for name, text in (("dsgdb9nsd_000005.xyz", CYANIDE), ("readme.txt", "not a molecule"), ("dsgdb9nsd_000001.xyz", METHANE)):
            member = tarfile.TarInfo(f"dsgdb9nsd/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_a_file_a_folder_and_a_tar_hold_the_same_molecules_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "both.xyz").write_text(METHANE + CYANIDE)
    places = [tmp_path / "both.xyz", write_folder(tmp_path / "dsgdb9nsd"), write_tar(tmp_path / "dsgdb9nsd.xyz.tar.bz2")]
    for place in places:
        methane, cyanide = read_frames(place, keys=U0, needs=ALONE).frames
        assert methane.name == f"{place.name}, frame 0 (gdb 1)"
        assert cyanide.name == f"{place.name}, frame 1 (gdb 5)"
        assert methane.energy == pytest.approx(-40.47893 * units.Hartree, rel=1e-14)
        assert cyanide.forces is None
        assert str(cyanide.atoms.symbols) == "CNH"
        np.testing.assert_array_equal(cyanide.atoms.positions[0], [-0.0133239314, 1.1324657151, 0.0082758861])
        assert not cyanide.atoms.pbc.any()


def test_every_property_and_the_charges_are_at_their_place():
    (atoms,) = qm9.molecules(CYANIDE.replace("\n", "\r\n").encode(), "hcn.xyz")
    found = {name: atoms.info[name] for name in qm9.PROPERTIES}
    assert found == {
        **{"A": 0.0, "B": 44.593883, "C": 44.593883, "mu": 2.8937, "alpha": 12.99, "homo": -0.3604, "lumo": 0.0191, "gap": 0.3796},
        **{"r2": 48.7476, "zpve": 0.016601, "U0": -93.411888, "U": -93.40937, "H": -93.408425, "G": -93.431246, "Cv": 6.278},
    }
    assert atoms.info["gdb"] == 5
    np.testing.assert_array_equal(atoms.arrays["mulliken_charges"], [-3.9e-6, -0.165105, 0.165109])


def test_the_units_are_those_of_the_layout_and_the_log_says_what_is_learned(tmp_path):
    (tmp_path / "m.xyz").write_text(METHANE)
    for name, value in (("U0", -40.47893), ("U", -40.476062), ("H", -40.475117), ("G", -40.498597), ("zpve", 0.044749)):
        file = read_frames(tmp_path / "m.xyz", keys=Keys(energy=name), needs=ALONE)
        assert file.frames[0].energy == pytest.approx(value * units.Hartree, rel=1e-14)
        assert file.units == "m.xyz: 1 frames in Hartree and Angstrom (by the layout of QM9)"
        assert file.notes == (f"m.xyz: `{name}` of molecules at rest: such a model says nothing of forces, and is not for dynamics",)
    for name, value, unit in (("alpha", 13.21, "Bohr³"), ("Cv", 6.469, "cal/(mol K)")):
        file = read_frames(tmp_path / "m.xyz", keys=Keys(energy=name), needs=ALONE)
        assert file.frames[0].energy == value
        assert file.units == f"m.xyz: 1 frames in {unit} and Angstrom (by the layout of QM9)"
        assert file.notes == (f"m.xyz: `{name}` is no energy: wherever eV stands below, read {unit}",)
        with pytest.raises(DataError, match=r"the file says its unit is .*, `data.units` says kcal/mol; take `data.units` out"):
            read_frames(tmp_path / "m.xyz", "kcal/mol", keys=Keys(energy=name), needs=ALONE)


@pytest.mark.parametrize("name", ["A", "mu", "homo", "lumo", "gap", "r2"])
def test_what_is_no_sum_over_atoms_is_refused_with_the_reason(tmp_path, name):
    (tmp_path / "m.xyz").write_text(METHANE)
    with pytest.raises(DataError, match=rf"m.xyz: `{name}` of QM9 is not learned: .*, and a model here is a sum over atoms"):
        read_frames(tmp_path / "m.xyz", keys=Keys(energy=name), needs=ALONE)


def test_an_unknown_property_and_forces_are_refused(tmp_path):
    (tmp_path / "m.xyz").write_text(METHANE)
    known = "U0, U, H, G, zpve, alpha, Cv"
    with pytest.raises(DataError, match=rf"m.xyz: `data.energy_key` must be one of QM9's properties {known}, got `energy`"):
        read_frames(tmp_path / "m.xyz", needs=ALONE)
    with pytest.raises(DataError, match=r"m.xyz: QM9 has no forces; set `loss.forces_weight: 0` and learn from energies alone"):
        read_frames(tmp_path / "m.xyz", keys=U0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (METHANE[: METHANE.index("H\t-0.52")], r"m.xyz: says that it has 5 atoms, and ends after 4 of them"),
        (METHANE[: METHANE.index("1341")], r"m.xyz: must end with frequencies, SMILES, InChI, a line each, is cut after 0 of them"),
        (METHANE[: METHANE.index("InChI")], r"is cut after 2 of them"),
        (METHANE + CYANIDE[:20], r"m.xyz, molecule 1: says that it has 3 atoms, and ends after 0 of them"),
        (METHANE + "some text\n", r"m.xyz, molecule 1: must begin with its number of atoms, got 'some text' in line 11"),
        (METHANE.replace("5\n", "4\n", 1), r"m.xyz, molecule 1: must begin with its number of atoms, got 'InChI=1S/CH4/h1H4.* in line 10"),
        (METHANE.replace("\t6.469", ""), r"second line must be `gdb`, a number and 15 properties \(A B C mu .* with 14 of them"),
        (METHANE.replace("-40.47893", "-40.4789x"), r"m.xyz: `U0`: must be a number, got '-40.4789x'"),
        (METHANE.replace("2.765*^-4", "2.765*^"), r"m.xyz: atom 2: must be a number, got '2.765\*\^'"),
        (METHANE.replace("\t 0.133921", ""), r"m.xyz: atom 1 must be an element, x, y, z \(Å\) and a charge, got 'H"),
        (METHANE.replace("C\t-0.0126", "X\t-0.0126"), r"m.xyz: atom 0 must be an element"),
        (METHANE.replace("-40.47893", "nan"), r"m.xyz: `U0`: must be a number, got 'nan'"),
        (METHANE.replace("-40.47893", "-4_0.5"), r"m.xyz: `U0`: must be a number, got '-4_0.5'"),
        (METHANE.replace("-40.47893", "-4*^999"), r"m.xyz, frame 0 \(gdb 1\): energy: not a finite number"),
    ],
)
def test_a_damaged_text_is_refused_with_its_place(tmp_path, text, sentence):
    (tmp_path / "m.xyz").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_frames(tmp_path / "m.xyz", keys=U0, needs=ALONE)


def test_a_tar_that_is_cut_or_empty_is_refused(tmp_path):
    whole = write_tar(tmp_path / "a.tar.bz2").read_bytes()
    (tmp_path / "cut.tar.bz2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut.tar.bz2: cannot be read: "):
        read_frames(tmp_path / "cut.tar.bz2", keys=U0, needs=ALONE)
    with tarfile.open(tmp_path / "none.tar", "w"):
        pass
    with pytest.raises(DataError, match=r"none.tar: has none of QM9's .xyz files"):
        read_frames(tmp_path / "none.tar", keys=U0, needs=ALONE)


def test_a_tar_of_zeros_is_not_unpacked_into_the_memory(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "big.tar.bz2", "w:bz2") as archive:
        member = tarfile.TarInfo("dsgdb9nsd_000001.xyz")
        member.size = 2 * qm9.LARGEST_FILE
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(DataError, match=r"big.tar.bz2, dsgdb9nsd_000001.xyz: is larger than 1 MB; of QM9 each file is a molecule"):
        read_frames(tmp_path / "big.tar.bz2", keys=U0, needs=ALONE)
    write_tar(tmp_path / "a.tar.bz2")
    monkeypatch.setattr(qm9, "available_memory", lambda: len(CYANIDE) + 1)
    with pytest.raises(DataError, match=r"a.tar.bz2: has more than .* of molecules, and so much memory is free"):
        read_frames(tmp_path / "a.tar.bz2", keys=U0, needs=ALONE)


def test_a_folder_of_something_else_is_no_qm9(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(DataError, match=r"folder: is a folder"):
        read_frames(tmp_path / "folder", keys=U0, needs=ALONE)


def test_properties_that_kept_their_names_in_an_extended_xyz_kept_their_units(tmp_path):
    (atoms,) = qm9.molecules(METHANE.encode(), "m.xyz")
    said = " ".join(f"{name}={atoms.info[name]}" for name in ("zpve", "U0", "U", "H", "G", "alpha", "Cv"))
    rows = [f"{symbol} {x} {y} {z}" for symbol, (x, y, z) in zip(atoms.symbols, atoms.positions, strict=True)]
    text = "\n".join(["5", f'Properties=species:S:1:pos:R:3 mu=0 {said} epsHOMO=-0.3877 mine=-2.0 pbc="F F F"', *rows]) + "\n"
    (tmp_path / "q.xyz").write_text(text * 2)
    file = read_frames(tmp_path / "q.xyz@1:", keys=U0, needs=ALONE)
    assert file.frames[0].energy == pytest.approx(-40.47893 * units.Hartree, rel=1e-14)
    assert file.units == "q.xyz: 1 of 2 frames (`@1:`) in Hartree and Angstrom (by QM9's properties in its comment lines)"
    with pytest.raises(DataError, match=r"`epsHOMO` of QM9 is not learned: an orbital energy does not grow with the molecule"):
        read_frames(tmp_path / "q.xyz", keys=Keys(energy="epsHOMO"), needs=ALONE)
    assert read_frames(tmp_path / "q.xyz", keys=Keys(energy="mine"), needs=ALONE).frames[0].energy == -2.0  # not QM9's own: eV
    assert read_frames(tmp_path / "q.xyz", "eV", keys=U0, needs=ALONE).frames[0].energy == -40.47893  # the user knows better


def test_a_config_can_be_drafted_for_a_folder(tmp_path):
    labels = find_labels(write_folder(tmp_path / "dsgdb9nsd"))
    assert labels.energies == ["U0"]
    assert labels.forces == []


def test_the_energies_of_atomization_are_those_of_chemistry():
    """Of methane 17.02 eV at 0 K, zero-point energy included (experiment, ATcT: 1642.2 kJ/mol); B3LYP with its basis is within 1 %."""
    alone = qm9.atom_references("U0")
    atomization = alone[6] + 4 * alone[1] + 40.47893 * units.Hartree
    assert atomization == pytest.approx(1642.2 * units.kJ / units.mol, rel=0.01)
    for z in alone:  # what a free atom has by its motion: U = U0 + 3/2 kT, H = U + kT, Cv = 3/2 k
        kt = 298.15 * units.kB
        assert qm9.atom_references("U")[z] - alone[z] == pytest.approx(1.5 * kt, abs=2e-5)  # in Hartree six decimals are given
        assert qm9.atom_references("H")[z] - qm9.atom_references("U")[z] == pytest.approx(kt, abs=4e-5)
        assert qm9.atom_references("Cv")[z] == pytest.approx(1.5 * units.kB / (units.kcal / units.mol / 1000), rel=1e-3)
        assert qm9.atom_references("zpve")[z] == 0.0
        assert qm9.atom_references("G")[z] < qm9.atom_references("H")[z]


DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "qm9"


@pytest.mark.skipif(not DATA.is_dir(), reason="the reference data are not there")
def test_the_extended_xyz_and_the_database_of_the_same_molecules_agree():
    text = read_frames(DATA / "qm9_100.xyz", keys=U0, needs=ALONE).frames
    database = read_frames(DATA / "qm9_500.db@:110", keys=Keys(energy="energy_U0"), needs=ALONE).frames  # three of these are left out there
    for a in text:
        b = min(database, key=lambda frame, energy=a.energy: abs(frame.energy - energy))
        assert a.atoms.symbols.formula.format("hill") == b.atoms.symbols.formula.format("hill")
        assert a.energy == pytest.approx(b.energy, abs=1e-6)
