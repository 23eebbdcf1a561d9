"""Databases are read as they are, and left as they are."""

import base64
import sqlite3

import ase
import ase.db
import numpy as np
import pytest

from spinconv.potential.training.frames import DataError, Keys
from spinconv.potential.training.readers import read_frames
from spinconv.potential.training.survey import find_labels


def state(folder):
    """Bytes and time of change of every file in a folder."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["theirs.db", "theirs.xyz", "theirs.sqlite"])
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_foreign_database_is_refused_and_not_changed(tmp_path, name, journal):
    with sqlite3.connect(tmp_path / name) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = state(tmp_path)
    for read in (read_frames, find_labels):
        with pytest.raises(DataError, match=rf"{name}: must be an ASE database, and has no table `systems`; its tables are bookmarks"):
            read(tmp_path / name)
    assert state(tmp_path) == before


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_reading_changes_nothing(tmp_path, clusters, journal):
    with ase.db.connect(tmp_path / "t.db") as database:
        for atoms in clusters[:3]:
            database.write(atoms)
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    before = state(tmp_path)
    assert len(read_frames(tmp_path / "t.db").frames) == 3
    assert find_labels(tmp_path / "t.db").energies == ["energy"]
    assert state(tmp_path) == before


def test_frames_that_another_program_is_writing_are_seen_once_they_are_there(tmp_path, clusters):
    with ase.db.connect(tmp_path / "t.db") as database:
        database.write(clusters[0])
    writer = sqlite3.connect(tmp_path / "t.db")
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("SELECT COUNT(*) FROM systems").fetchone()
    with ase.db.connect(tmp_path / "t.db") as database:
        database.write(clusters[1])  # in the log beside the database
    assert (tmp_path / "t.db-wal").stat().st_size > 0
    assert len(read_frames(tmp_path / "t.db").frames) == 2
    writer.close()


def test_what_is_called_a_database_and_is_none_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("these are no frames, however many words there are\n" * 20)
    with pytest.raises(DataError, match=r"text.db: cannot be read: file is not a database"):
        read_frames(tmp_path / "text.db")


def test_arrays_that_the_first_schnetpack_wrote_as_texts_are_read(tmp_path):
    values = {"energy": np.array([-2.5]), "forces": np.arange(6, dtype=np.float32).reshape(2, 3)}
    data = {}
    for name, array in values.items():
        data |= {name: base64.b64encode(array.tobytes()).decode(), f"_shape_{name}": array.shape, f"_dtype_{name}": str(array.dtype)}
    with ase.db.connect(tmp_path / "old.db") as database:
        database.write(ase.Atoms("H2", [(0, 0, 0), (0, 0, 1)]), data=data)
    frame = read_frames(tmp_path / "old.db").frames[0]
    assert frame.energy == -2.5
    np.testing.assert_array_equal(frame.forces, values["forces"])
    assert find_labels(tmp_path / "old.db").forces == ["forces"]


def test_forces_must_be_in_the_units_of_energies_and_lengths(tmp_path):
    with ase.db.connect(tmp_path / "t.db") as database:
        database.write(ase.Atoms("H2", [(0, 0, 0), (0, 0, 1)]), data={"E": np.array([-2.0]), "F": np.ones((2, 3))})
    for forces, right in (("kcal/mol/Ang", True), ("eV/Ang", False), ("kcal/mol/Bohr", False)):
        with ase.db.connect(tmp_path / "t.db") as database:
            database.metadata = {"_property_unit_dict": {"E": "kcal/mol", "F": forces}, "_distance_unit": "Ang"}
        if right:
            frame = read_frames(tmp_path / "t.db", keys=Keys("E", "F")).frames[0]
            np.testing.assert_allclose(frame.forces, ase.units.kcal / ase.units.mol)
        else:
            with pytest.raises(DataError, match=rf"says that forces are in {forces}, energies in kcal/mol and lengths"):
                read_frames(tmp_path / "t.db", keys=Keys("E", "F"))
