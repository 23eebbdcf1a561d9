"""ASE's databases in LMDB, written by LMDB's own library in the two dialects that there are, and damaged in every way."""

import pickle

import numpy as np
import pytest
from oc20 import adslab, as_database, write_aselmdb

from spinconv.potential.training.frames import DataError
from spinconv.potential.training.readers import first_atoms, read_frames

pytest.importorskip("lmdb")
SLABS = [adslab(k) for k in range(14)]


@pytest.mark.parametrize("arrays_as_ase_does", [False, True], ids=["fairchem", "ase-db-backends"])
def test_structures_labels_tags_and_constraints_are_those_written(tmp_path, arrays_as_ase_does):
    write_aselmdb(tmp_path / "a.aselmdb", as_database(SLABS, arrays_as_ase_does))
    frames = read_frames(tmp_path / "a.aselmdb").frames
    assert len(frames) == 13
    for frame, slab in zip(frames, SLABS[:1] + SLABS[2:], strict=True):  # in the order of the numbers: 1, 3, ..., 10, 11
        np.testing.assert_array_equal(frame.atoms.positions, slab.positions)
        np.testing.assert_array_equal(frame.atoms.cell.array, slab.cell.array)
        assert frame.atoms.pbc.all()
        assert frame.atoms.numbers.tolist() == slab.numbers.tolist()
        assert frame.energy == slab.get_potential_energy()
        np.testing.assert_array_equal(frame.forces, slab.get_forces(apply_constraint=False))
        assert frame.tags.tolist() == slab.get_tags().tolist()
        assert np.flatnonzero(frame.fixed).tolist() == [0, 1, 2, 3]
    assert first_atoms(tmp_path / "a.aselmdb", 1)[0].info["sid"] == "random100"


def test_a_folder_of_databases_is_read_as_one(tmp_path):
    for k in range(2):
        write_aselmdb(tmp_path / f"data.000{k}.aselmdb", as_database(SLABS[5 * k : 5 * k + 5]))
    assert [frame.energy for frame in read_frames(tmp_path).frames] == [-30.0, -32.0, -33.0, -34.0, -35.0, -37.0, -38.0, -39.0]


def test_nothing_is_unpickled_and_nothing_is_left_beside_the_file(tmp_path):
    for rows in ({b"0": pickle.dumps(1), b"length": pickle.dumps(1)}, {b"1": pickle.dumps(1), b"nextid": 2}):
        write_aselmdb(tmp_path / "old.lmdb", rows)
        with pytest.raises(DataError, match=r"is of pickled objects, as OCP wrote them until 2023|`1` must be JSON packed by zlib"):
            read_frames(tmp_path / "old.lmdb")
        assert [path.name for path in tmp_path.iterdir()] == ["old.lmdb"]
        (tmp_path / "old.lmdb").unlink()


def test_a_database_that_lacks_a_row_is_refused(tmp_path):
    rows = as_database(SLABS)
    del rows[b"7"]
    write_aselmdb(tmp_path / "a.aselmdb", rows)
    with pytest.raises(DataError, match="says that it has 13 rows, and has 12; copy or download it again"):
        read_frames(tmp_path / "a.aselmdb")


def test_a_file_cut_short_anywhere_or_with_any_page_overwritten_is_refused_in_a_sentence(tmp_path):
    file = tmp_path / "a.aselmdb"
    write_aselmdb(file, as_database(SLABS))
    whole = file.read_bytes()
    whole = whole[: (int.from_bytes(whole[136:144], "little") + 1) * 4096]  # up to the last page in use
    chance = np.random.default_rng(0)
    for cut in range(20, len(whole), 4096 + 700):
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError):
            read_frames(file)
    for at in range(0, len(whole), 4096):
        damaged = bytearray(whole)
        damaged[at : at + 64] = chance.bytes(64)
        file.write_bytes(damaged)
        try:  # a page that a transaction before used may be anything
            assert len(read_frames(file).frames) == 13
        except DataError as error:
            assert "a.aselmdb" in str(error)  # noqa: PT017  (either is right, and no third)


def test_pages_that_go_in_a_circle_end_in_a_sentence(tmp_path):
    file = tmp_path / "a.aselmdb"
    write_aselmdb(file, as_database(SLABS))
    data = bytearray(file.read_bytes())
    roots = [int.from_bytes(data[at : at + 8], "little") for at in (16 + 24 + 48 + 40, 4096 + 16 + 24 + 48 + 40)]
    page = max(root for root in roots if root < 2**32) * 4096
    assert data[page + 10] == 1  # a branch
    (node,) = np.frombuffer(bytes(data[page + 16 : page + 18]), dtype="<u2")
    data[page + node : page + node + 4] = (page // 4096).to_bytes(4, "little")
    file.write_bytes(data)
    with pytest.raises(DataError, match="its pages go in a circle"):
        read_frames(file)
