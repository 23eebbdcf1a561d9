"""OC20's S2EF folders: energies less the reference energies beside them, tags, and atoms that are held in place."""

import numpy as np
import pytest
from oc20 import adslab, write_s2ef

from spinconv.potential.training.frames import DataError, Keys
from spinconv.potential.training.readers import first_atoms, read_frames


@pytest.mark.parametrize("packed", [False, True])
def test_energies_are_less_the_reference_energies_of_the_lines_beside(tmp_path, packed):
    write_s2ef(tmp_path / "s2ef", 0, [adslab(k) for k in range(3)], packed)
    file = read_frames(tmp_path / "s2ef")
    assert [frame.energy for frame in file.frames] == pytest.approx([-1.0, -1.0, -1.0])
    assert (
        "s2ef: 3 of 3 frames have adsorption energies: the reference energies of the .txt are taken off (`data.ref_energy`)" in file.notes
    )
    total = read_frames(tmp_path / "s2ef", keys=Keys(ref_energy=False))
    assert [frame.energy for frame in total.frames] == pytest.approx([-30.0, -31.0, -32.0])
    assert "keep their total energies, the reference energies of the .txt are not taken off" in total.notes[-1]


def test_a_folder_is_read_in_the_order_of_its_numbers_and_a_file_alone_as_in_it(tmp_path):
    for number, packed in ((10, False), (2, True), (9, False)):
        write_s2ef(tmp_path / "s2ef", number, [adslab(number)], packed)
    write_s2ef(tmp_path / "s2ef", 2, [adslab(2)])  # unpacked beside its packed twin
    names = [frame.name for frame in read_frames(tmp_path / "s2ef").frames]
    assert names == [f"{number}.extxyz, frame 0 (random100, frame0)" for number in (2, 9, 10)]
    assert read_frames(tmp_path / "s2ef" / "9.extxyz").frames[0].energy == pytest.approx(-39.0 + 29.0)
    assert len(first_atoms(tmp_path / "s2ef", 2)) == 2


def test_tags_and_atoms_held_in_place_are_kept_and_their_labels_are_not_zeroed(tmp_path):
    slab = adslab()
    write_s2ef(tmp_path / "s2ef", 0, [slab])
    (frame,) = read_frames(tmp_path / "s2ef").frames
    assert frame.tags.tolist() == slab.get_tags().tolist()
    assert frame.fixed.tolist() == [True] * 4 + [False] * 6
    np.testing.assert_allclose(frame.forces, slab.get_forces(apply_constraint=False), atol=1e-8)
    assert np.abs(frame.forces[frame.fixed]).min() > 0


def test_a_text_beside_frames_that_says_something_else_is_none_of_oc20(tmp_path):
    write_s2ef(tmp_path, 0, [adslab()])
    (tmp_path / "0.txt").write_text("made in spring, by hand\n")
    assert read_frames(tmp_path / "0.extxyz").frames[0].energy == pytest.approx(-30.0)


def test_what_does_not_fit_together_is_refused_in_words(tmp_path):
    folder = tmp_path / "s2ef"
    write_s2ef(folder, 0, [adslab(0), adslab(1)], references=[-29.0])
    with pytest.raises(DataError, match=r"0.extxyz: has 2 frames, .*0.txt has 1 lines; one of them is cut short"):
        read_frames(folder)
    (folder / "0.txt").write_text("random1,frame2,-29.0\nrandom1\n")
    with pytest.raises(DataError, match=r"0.txt, line 2: must be `system_id,frame_number,reference_energy`, got 'random1'"):
        read_frames(folder)
    (folder / "0.txt").write_text("random1,frame2\nrandom1,frame4\n")  # as of the test sets
    with pytest.raises(DataError, match=r"frame 0 \(random1, frame2\): has no reference energy in its .txt; without `data.ref_energy`"):
        read_frames(folder)
    (folder / "0.txt").unlink()
    with pytest.raises(DataError, match=r"is a folder, and has neither .aselmdb files nor N.extxyz or N.extxyz.xz with an N.txt beside"):
        read_frames(folder)


def test_a_packed_file_that_promises_endless_atoms_is_refused_at_once(tmp_path):
    import lzma

    write_s2ef(tmp_path / "s2ef", 0, [adslab()], packed=True)
    (tmp_path / "s2ef" / "0.extxyz.xz").write_bytes(lzma.compress(b"99999999999\n\nH 0 0 0\n"))
    with pytest.raises(DataError, match="frame 0 says that it has 99999999999 atoms, the file has 3 lines"):
        read_frames(tmp_path / "s2ef")
