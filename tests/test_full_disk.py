"""Every command that writes a file, where there is no room for it: a sentence, the old file kept, nothing left beside it."""

import importlib.resources
import subprocess
import sys
from pathlib import Path

import pytest
from disks import files_of_at_most
from typer.testing import CliRunner

from models import SHIPPED_CHECKPOINT, SHIPPED_MODEL
from spinconv.export.cli import app

FRAMES = Path(__file__).parent.parent / "examples" / "training" / "data" / "ethanol_test.xyz"
STRUCTURE = """3
water
O 0 0 0
H 0.96 0 0
H -0.24 0.93 0
"""
OUTPUTS = {
    "a.pt": ("export", SHIPPED_CHECKPOINT, "-o", "a.pt"),
    "b.pt": ("bind", SHIPPED_MODEL, "one.xyz", "-o", "b.pt"),
    "c.xyz": ("evaluate", SHIPPED_MODEL, "few.xyz", "-o", "c.xyz"),
    "d.png": ("evaluate", SHIPPED_MODEL, "few.xyz", "--plot", "d.png"),
    "e.yaml": ("new", "few.xyz", "-o", "e.yaml", "--force"),
    "f.data": ("lammps-data", "one.xyz", "-o", "f.data", "--force"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with frames and a structure."""
    monkeypatch.chdir(tmp_path)
    Path("few.xyz").write_text("".join(f"{line}\n" for line in FRAMES.read_text().splitlines()[:33]))
    Path("one.xyz").write_text(STRUCTURE)
    return tmp_path


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_command_without_room_for_its_result_keeps_the_old_file(folder, name):
    (folder / name).write_text("old")
    before = sorted(path.name for path in folder.iterdir())
    with files_of_at_most(200):
        done = CliRunner().invoke(app, [str(word) for word in OUTPUTS[name]])
    assert done.exit_code == 1
    assert done.output == f"ERROR: `{name}` could not be written: file too large; the file that was there is as it was\n"
    assert (folder / name).read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == before
    done = CliRunner().invoke(app, [str(word) for word in OUTPUTS[name]])
    assert done.exit_code == 0, done.output
    assert (folder / name).stat().st_size > 200


@pytest.mark.skipif(not (importlib.resources.files("spinconv") / "examples").is_dir(), reason="a tree of links has no examples")
def test_an_example_without_room_for_its_files_says_so(folder):
    with files_of_at_most(200):
        done = CliRunner().invoke(app, ["example", "there"])
    assert done.exit_code == 1
    assert done.output.startswith("ERROR: `there/")
    assert done.output.endswith("could not be written: file too large\n")


@pytest.mark.parametrize("arguments", [("--version",), ("info", SHIPPED_MODEL), ("info", "--json", SHIPPED_MODEL), ("info", "nothing.pt")])
def test_a_full_disk_behind_the_output_is_a_sentence(arguments):
    command = [sys.executable, "-c", "from spinconv.export.cli import app; app()", *map(str, arguments)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "ERROR: the output could not be written: No space left on device\n"
