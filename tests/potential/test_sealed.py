"""Sealed files: whatever byte is changed, cut or added is found, and other programs read them as before."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from spinconv.potential.sealed import MOST_NOTE, open_sealed, read_bounded, seal

READ_BY_TORCH = """
import sys, torch
assert torch.equal(torch.load(sys.argv[1], weights_only=True)["weight"], torch.arange(5.0))
assert torch.jit.load(sys.argv[2])(torch.ones(1)) == 2
"""


class Double(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def archive() -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.arange(5.0)}, file)
    return file.getvalue()


def scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(Double()), file)
    return file.getvalue()


@pytest.mark.parametrize("note", ["", "a", "spinconv.json=128+77 weights.safetensors=256+1024", "x" * MOST_NOTE])
def test_a_seal_gives_its_note_back_and_is_the_last_line(note: str) -> None:
    data = seal(archive(), note)
    assert open_sealed(data, "file") == note
    assert data[data.rindex(b"spinconv 2 ") :].count(b"\n") == 1


@pytest.mark.parametrize("note", ["", "two words"])
def test_every_changed_byte_is_found(note: str) -> None:
    data = seal(archive(), note)
    for place in range(len(data)):
        for change in (1, 0x20, 0xFF):  # 0x20 makes a digit a capital letter
            changed = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
            with pytest.raises(ValueError, match=r"^`file` (is damaged|must be a file written by spinconv)"):
                open_sealed(changed, "file")


def test_every_cut_is_found() -> None:
    data = seal(archive())
    for size in range(len(data)):
        with pytest.raises(ValueError, match=r"^`file` (is damaged|must be a file written by spinconv|has no seal)"):
            open_sealed(data[:size], "file")


@pytest.mark.parametrize("more", [b"\0", b"\n", b" ", archive(), seal(archive())[-80:]])
def test_what_is_added_is_found(more: bytes) -> None:
    data = seal(archive())
    for changed in (data + more, more + data, data[:100] + more + data[100:]):
        with pytest.raises(ValueError, match=r"^`file` "):
            open_sealed(changed, "file")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "must be a file written by spinconv, is of another kind"),
        (b"text", "must be a file written by spinconv, is of another kind"),
        (archive(), "has no seal of spinconv: it was written by another program or an older spinconv, or saved again by torch"),
        (archive()[:-30], "is damaged: it is cut short"),
        (seal(archive())[:-1], "is damaged: it is cut short, or its end is changed"),
    ],
)
def test_a_file_without_a_seal_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"^`file` {words}"):
        open_sealed(data, "file")


def test_a_seal_of_another_format_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinconv.potential.sealed.SEALED_FORMAT", 3)
    data = seal(archive())
    monkeypatch.undo()
    with pytest.raises(ValueError, match="`file` was written for format 3, this spinconv reads format 2; use another spinconv"):
        open_sealed(data, "file")


def test_a_seal_is_the_whole_last_line() -> None:
    before = archive() + b"something spinconv 2 sha256:"
    with pytest.raises(ValueError, match="`file` is damaged: it is cut short, or its end is changed"):
        open_sealed(before + hashlib.sha256(before).hexdigest().encode() + b"\n", "file")


@pytest.mark.parametrize("note", ["line\nline", "\0", "é", "x" * (MOST_NOTE + 1), " starts with a blank"])
def test_a_note_that_a_line_cannot_hold_is_refused(note: str) -> None:
    with pytest.raises(ValueError, match="`note` must be at most 1000 printable ASCII characters, got"):
        seal(archive(), note)


@pytest.mark.parametrize("data", [b"", b"no archive", seal(archive()), archive() + b"\0"])
def test_what_cannot_carry_a_seal_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="`archive` must be a zip archive without a comment"):
        seal(data)


@pytest.mark.parametrize("variable", ["", "SPINCONV_OTHER_TORCH_PYTHON"])
def test_torch_reads_sealed_files(tmp_path: Path, variable: str) -> None:
    python = os.environ.get(variable, "") if variable else sys.executable
    if not python:
        pytest.skip(f"{variable} names no Python with another torch")
    (tmp_path / "saved.pt").write_bytes(seal(archive()))
    (tmp_path / "scripted.pt").write_bytes(seal(scripted()))
    subprocess.run(
        [python, "-W", "ignore", "-c", READ_BY_TORCH, tmp_path / "saved.pt", tmp_path / "scripted.pt"],
        env={"PATH": os.environ["PATH"]},
        check=True,
    )


def test_zip_programs_read_sealed_files(tmp_path: Path) -> None:
    path = tmp_path / "scripted.pt"
    path.write_bytes(seal(scripted(), "a note"))
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert file.comment == path.read_bytes()[-len(file.comment) :]
    if unzip := shutil.which("unzip"):
        said = subprocess.run([unzip, "-tq", path], capture_output=True, text=True, check=True)
        assert "No errors detected" in said.stdout
        assert not said.stderr


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "file", 1000) == read_bounded(str(tmp_path / "link"), 1000) == b"x" * 1000


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**13)  # a hole: it takes no room


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_pipe, "must be a model file, is a pipe or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "must be a model file, is a pipe or a device"),
        (Path.mkdir, "must be a model file, is a folder"),
        (Path.touch, "must be a model file, is empty"),
        (lambda path: path.symlink_to("/proc/self/status"), "must be a model file, is empty"),
        (make_large, "must be a model file of at most 1 MB, has 10000.0 GB"),
        (lambda path: path.symlink_to("loop"), "cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_of_bounded_size_is_refused_at_once(tmp_path: Path, make: object, words: str) -> None:
    make(tmp_path / "loop")  # type: ignore[operator]
    with pytest.raises(ValueError, match=f"^`{tmp_path}/loop` {words}"):
        read_bounded(tmp_path / "loop", 10**6, "model file")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0)
    with pytest.raises(ValueError, match="cannot be read: Permission denied"):
        read_bounded(tmp_path / "file", 10)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"`{tmp_path}/file`: there is no such checkpoint"):
        read_bounded(tmp_path / "file", 10, "checkpoint")
