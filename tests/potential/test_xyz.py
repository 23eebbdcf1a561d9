"""Counts of atoms in an xyz file that ASE would follow without end."""

import ase
import ase.io
import pytest

from spinconv.export.check_structures import read_frames as read_structures
from spinconv.openmm_plugin.bind import read_particles
from spinconv.potential.training.readers import first_atoms, read_frames
from spinconv.potential.xyz import check_counts

COUNT = "frame 1 says that it has 9{20}... atoms, the file has 8 lines"


@pytest.fixture
def path(tmp_path):
    """Two frames, the second with a count that is too large."""
    ase.io.write(tmp_path / "a.xyz", [ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])] * 2)
    lines = (tmp_path / "a.xyz").read_text().splitlines()
    lines[4] = "9" * 30
    (tmp_path / "a.xyz").write_text("\n".join(lines))
    return tmp_path / "a.xyz"


@pytest.mark.parametrize("read", [read_frames, lambda path: first_atoms(path, 3), read_structures, read_particles, check_counts])
def test_a_count_beyond_the_file_is_refused_at_every_door(path, read):
    with pytest.raises(ValueError, match=COUNT):
        read(path)


def test_counts_that_fit_and_what_is_no_count_are_left_to_ase(tmp_path):
    ase.io.write(tmp_path / "a.xyz", [ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.1)])] * 3)
    check_counts(tmp_path / "a.xyz")
    (tmp_path / "b.xyz").write_text("two\n")
    check_counts(tmp_path / "b.xyz")
    (tmp_path / "c.pdb").write_text("999999999\n")
    check_counts(tmp_path / "c.pdb")
