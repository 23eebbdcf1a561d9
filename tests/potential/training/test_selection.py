"""Some frames of a file, by a stretch or by a list of their numbers."""

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from spinconv.potential.training.frames import DataError
from spinconv.potential.training.pretrain_frames import read_molecules
from spinconv.potential.training.readers import first_atoms, read_frames
from spinconv.potential.training.resume import without_folders


@pytest.fixture
def ten(tmp_path):
    """Ten frames whose energy is their number."""
    frames = []
    for k in range(10):
        atoms = ase.Atoms("H2", [(0, 0, 0), (0, 0, 0.7)])
        atoms.calc = SinglePointCalculator(atoms, energy=-float(k), forces=np.zeros((2, 3)))
        frames.append(atoms)
    ase.io.write(tmp_path / "t.xyz", frames)
    return tmp_path / "t.xyz"


def energies(path) -> list[float]:
    return [-frame.energy for frame in read_frames(path).frames]


@pytest.mark.parametrize("stretch", [":3", "7:", "-2:", "2:8:3", "::4", "5:-1", "::-5", ":"])
def test_a_stretch_means_what_it_means_to_ase(ten, stretch):
    expected = [-atoms.get_potential_energy() for atoms in ase.io.read(f"{ten}@{stretch}")]
    assert energies(f"{ten}@{stretch}") == expected


def test_a_list_names_frames_from_0_in_its_own_order_and_lies_beside_the_file(ten):
    (ten.parent / "splits").mkdir()
    (ten.parent / "splits" / "index_train_01.csv").write_text("7\n0\n3\n")
    file = read_frames(f"{ten}@splits/index_train_01.csv")
    assert [-frame.energy for frame in file.frames] == [7, 0, 3]
    assert file.frames[0].name == "t.xyz, frame 7"  # its number in the file
    assert file.units.startswith("t.xyz: 3 of 10 frames (`@index_train_01.csv`) in eV")
    (ten.parent / "one.txt").write_text("4, 5 6")
    assert energies(f"{ten}@{ten.parent / 'one.txt'}") == [4, 5, 6]
    assert [len(read(Path(f"{ten}@one.txt"))) for read in (read_molecules, first_atoms)] == [3, 3]


def test_a_file_whose_own_name_has_an_at_is_read_whole(ten):
    other = ten.rename(ten.with_name("run@300K.xyz"))
    assert len(energies(other)) == 10
    assert energies(f"{other}@:2") == [0, 1]


@pytest.mark.parametrize(
    ("said", "content", "sentence"),
    [
        ("", None, r"behind @ must stand which frames are meant, a stretch such as `:1000` or a file of their numbers"),
        ("20:", None, r"`@20:` selects none of its 10 frames"),
        ("::0", None, r"`@::0` selects none of its 10 frames"),
        ("other.csv", None, r"other.csv: there is no such file; it shall tell which frames of t.xyz are meant"),
        ("list.csv", "", r"list.csv: must hold numbers of frames of t.xyz, is empty"),
        ("list.csv", "index\n3\n", r"list.csv: must hold whole numbers, those of frames of t.xyz from 0, got 'index'"),
        ("list.csv", "3\n-1\n", r"got '-1'"),
        ("list.csv", "3.0", r"got '3.0'"),
        ("list.csv", "9 10", r"list.csv: names the frame 10, t.xyz has those from 0 to 9"),
        ("list.csv", "9" * 30, r"must hold whole numbers"),
        ("list.csv", "1\n2\n1\n", r"list.csv: names the frame 1 of t.xyz 2 times; each may be used once"),
    ],
)
def test_what_selects_no_frames_is_refused(ten, said, content, sentence):
    if content is not None:
        (ten.parent / "list.csv").write_text(content)
    with pytest.raises(DataError, match=sentence):
        read_frames(f"{ten}@{said}")


def test_a_missing_file_is_named_with_its_selection(tmp_path):
    with pytest.raises(DataError, match=r"no.xyz@:3: there is no such file"):
        read_frames(tmp_path / "no.xyz@:3")


def test_a_checkpoint_remembers_the_selection_without_folders():
    assert without_folders(["rmd17/npz_data/rmd17_ethanol.npz@../splits/index_train_01.csv", "a/b.xyz@:5", "c/d.xyz"]) == [
        "rmd17_ethanol.npz@index_train_01.csv",
        "b.xyz@:5",
        "d.xyz",
    ]
