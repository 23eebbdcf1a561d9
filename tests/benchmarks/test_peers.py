"""The benchmark beside other potentials runs and says what it measured; how fast is not a matter for tests, and no peer is needed."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from models import SHIPPED_MODEL

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("peers")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "peers.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_the_ratio_is_their_time_by_ours(peers: ModuleType) -> None:
    console = Console(width=120, record=True)
    console.print(peers.table_of("nequip", [peers.Timing("water", 192, 8000, 20.0, 60.0)]))
    row = next(line for line in console.export_text().splitlines() if "water" in line)
    assert re.findall(r"[\d.,]+", row) == ["192", "8,000", "20.00", "2.50", "60.00", "7.50", "3.00"]


@pytest.mark.skipif(not SHIPPED_MODEL.exists(), reason="the shipped models are not here")
def test_two_processes_take_turns(tmp_path: Path) -> None:
    done = run("spinconv", "--python", sys.executable, "--system", "ethanol", "--rounds", 1, "--seconds", 0.001, "--folder", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if "ethanol" in line and "9" in line and "72" in line)
    assert len(re.findall(r"[\d.]+", row)) == 7
    assert len(re.findall(r"spinconv.*, native .*, ase ", done.stdout)) == 2


def test_an_environment_without_the_peer_is_a_sentence(tmp_path: Path) -> None:
    done = run("nequip", "--python", tmp_path / "python", "--folder", tmp_path)
    assert done.returncode == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())  # typer's box
    assert "`--python` must be the Python of an environment with nequip" in said
    assert "No such file" in said


def test_an_unknown_peer_is_a_sentence() -> None:
    done = run("schnet", "--python", sys.executable)
    assert done.returncode == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.stderr).split())
    assert "`PEER` must be one of nequip, symmetrix, spinconv, got 'schnet'" in said
