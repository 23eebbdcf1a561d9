"""The benchmark of a training step runs and says what it measured; how fast is not a matter for tests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING_STEP = Path(__file__).parents[2] / "benchmarks" / "training_step.py"


def training_step(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TRAINING_STEP), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
def test_every_stage_is_timed(tmp_path: Path) -> None:
    done = training_step("--system", "small water", "--rounds", 1, "--output", tmp_path / "step.json")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "step.json").read_text())
    for kind in ("native", "torch"):
        stages = figures[kind]
        assert stages["step"] == pytest.approx(sum(value for name, value in stages.items() if name != "step"))
        assert min(stages.values()) > 0
    assert figures["ratio"] == pytest.approx(figures["native"]["step"] / figures["torch"]["step"])
    assert "the optimizer is" in done.stdout


def test_an_unknown_system_is_a_sentence() -> None:
    done = training_step("--system", "steam")
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())  # typer's box
    assert "`--system` must be one of ethanol, water, small water, silicon, got 'steam'" in said
