"""What is written is the old file or the new one, never a part of it."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from disks import as_somebody, files_of_at_most, folder_for_all, small_disk

from spinconv.potential.safe_write import WriteError, append_line, remove_parts, write_file

OVER_AND_OVER = """
import sys
from spinconv.potential.safe_write import write_file
for k in range(10**9):
    write_file(sys.argv[1], bytes([k % 256]) * 300_000)
    print(flush=True)
"""


def test_a_full_disk_is_a_sentence_and_the_old_file_is_kept(tmp_path):
    with small_disk(tmp_path / "disk", 65_536) as disk:
        write_file(disk / "a", "old")
        with pytest.raises(
            WriteError, match=r"^`.*disk/a` could not be written: no space left on device; the file that was there is as it"
        ):
            write_file(disk / "a", bytes(100_000))
        assert [(path.name, path.read_text()) for path in disk.iterdir()] == [("a", "old")]


def test_a_file_that_may_not_grow_is_as_a_full_disk(tmp_path):
    (tmp_path / "a").write_text("old\n")
    with files_of_at_most(1000):
        with pytest.raises(WriteError, match=r"a` could not be written: file too large; the file that was there is as it was$"):
            write_file(tmp_path / "a", bytes(1001))
        with pytest.raises(WriteError, match=r"b` could not be written: file too large$"):
            write_file(tmp_path / "b", bytes(1001))
        with pytest.raises(WriteError, match=r"a` could not be written: file too large"):
            append_line(tmp_path / "a", "x" * 2000)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old\n")]
    append_line(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old\nnew\n"


def test_what_cannot_be_written_to_says_why(tmp_path):
    with pytest.raises(WriteError, match=r"^`.*/there/a` could not be written: the folder .*there is not there$"):
        write_file(tmp_path / "there" / "a", "")
    with pytest.raises(WriteError, match=r"could not be written: it is a folder$"):
        write_file(tmp_path, "")
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"file/a` could not be written: not a directory$"):
        write_file(tmp_path / "file" / "a", "")
    with pytest.raises(WriteError, match=r"^`/dev/full` could not be written: no space left on device$"):
        write_file("/dev/full", "x")
    with pytest.raises(WriteError, match=r"^`/dev/full` could not be written: no space left on device$"):
        append_line("/dev/full", "x")
    write_file("/dev/null", "x")


def test_what_is_protected_stays_as_it_is():
    """The folder, or the file in a folder where it could be replaced."""
    kept = r"a` could not be written: permission denied; the file that was there is as it was$"
    with folder_for_all() as folder:
        (folder / "a").write_text("old")
        (folder / "a").chmod(0o444)
        with as_somebody(), pytest.raises(WriteError, match=kept):
            write_file(folder / "a", "new")
        (folder / "a").chmod(0o666)
        folder.chmod(0o555)
        with as_somebody(), pytest.raises(WriteError, match=kept):
            write_file(folder / "a", "new")
        with as_somebody(), pytest.raises(WriteError, match=r"b` could not be written: permission denied$"):
            write_file(folder / "b", "new")
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("a", "old")]


def test_links_are_followed_and_modes_kept(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "link").symlink_to("a")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    mask = os.umask(0o027)
    write_file(tmp_path / "b", "new")
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o640


def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path):
    for k in range(10):
        process = subprocess.Popen([sys.executable, "-c", OVER_AND_OVER, str(tmp_path / "a")], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.003 * k)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        content = (tmp_path / "a").read_bytes()
        assert len(content) == 300_000
        assert len(set(content)) == 1
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
