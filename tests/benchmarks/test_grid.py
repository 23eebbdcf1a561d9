"""The benchmark of grid models runs and says what it measured; how fast is not a matter for tests."""

import json
import subprocess
import sys
from pathlib import Path

GRID = Path(__file__).parents[2] / "benchmarks" / "grid.py"


def grid(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(GRID), *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)


def test_both_ways_are_timed_and_agree(tmp_path: Path) -> None:
    done = grid("--tiny", "--case", "intact", "--rounds", 1, "--dtype", "float64", "--output", tmp_path / "grid.json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "grid.json").read_text())
    row = figures["in turns"]["intact"]
    assert row["difference"] < 1e-10  # the same arithmetic
    assert row["ratio"] == row["published way"] / row["ours"] > 0
    assert [alone["way"] for alone in figures["alone"]] == ["ours", "published way"]
    assert all(alone["atoms"] == 78 and alone["ms"] > 0 for alone in figures["alone"])


def test_an_unknown_case_is_a_sentence() -> None:
    done = grid("--case", "steam")
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())  # typer's box
    assert "`--case` must be one of published, intact, direct, got 'steam'" in said
