"""benchmarks/published.py finds faults where there are some, and none where there are none."""

import importlib
import io
from pathlib import Path
from types import ModuleType

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from grid_models import grid_model
from rich.console import Console
from structures import ethanol

from models import random_model
from spinconv.export import export_model

ROOT = Path(__file__).parents[2]
FRAMES = [ethanol()]
PUBLISHED = {"gradient": "published", "envelope": False, "frame_offset": 1e-4}


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("faults")


def number(said: str) -> float:
    """The first of a measurement."""
    return 0.0 if said == "none" else float(said.split()[0].rstrip("%,;")) / (100 if "%" in said else 1)


def test_a_harmonic_model_has_none_of_the_faults(faults: ModuleType) -> None:
    model = random_model(weights_times=2.0)
    assert number(faults.finite_differences(model, FRAMES)) < 1e-6
    assert number(faults.loop(model, FRAMES, steps=160)) < 0.01  # of steps: 20 have 55 meV, 80 have 5
    assert faults.cutoff_jumps(model, FRAMES) == "none"
    assert number(faults.turns(model, FRAMES)) < 1e-9
    assert number(faults.mirrors(model, FRAMES)) < 1e-9
    assert number(faults.net(model, FRAMES)) < 1e-9


def test_the_published_gradient_is_found_out(faults: ModuleType) -> None:
    model, whole = grid_model(**PUBLISHED), grid_model(**{**PUBLISHED, "gradient": "intact"})
    assert number(faults.cut(model, FRAMES)) > 0.05
    assert faults.cut(whole, FRAMES) == "0.0%"
    assert number(faults.finite_differences(whole, FRAMES)) < 1e-3  # a neighbour may change its cell on the way
    assert number(faults.jitter(model, FRAMES)) > 100 * number(faults.jitter(whole, FRAMES)) > 0
    assert number(faults.loop(model, FRAMES, steps=20)) > 0.1
    assert number(faults.mirrors(whole, FRAMES)) > 1e-3


def test_jumps_are_found_out(faults: ModuleType) -> None:
    assert number(faults.cutoff_jumps(grid_model(envelope=False), FRAMES)) > 0.1
    assert faults.cutoff_jumps(grid_model(), FRAMES) == "none"
    assert number(faults.cap_jumps(grid_model(), FRAMES, cap=3)) > 0.1
    assert faults.cap_jumps(grid_model(), FRAMES, cap=8) == "none"
    assert number(faults.kinks(grid_model(), FRAMES)) > 0.1


def test_random_rotations_are_found_out(faults: ModuleType) -> None:
    random = grid_model(forces="random", n_rotations=5)
    assert number(faults.draws(random, FRAMES)) > 1.0
    assert faults.draws(faults.changed(random, forces="fixed", n_rotations=4), FRAMES) == "none"
    assert number(faults.net(random, FRAMES)) > 1.0


def test_places_where_something_changes(faults: ModuleType) -> None:
    found = np.array(list(faults.crossings(lambda x: x > 0.2, length=0.5)))
    assert found.shape == (1, 2)
    assert found[0, 0] <= 0.2 < found[0, 1] <= found[0, 0] + 1e-7


def test_the_table_has_a_column_a_model_and_another_for_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: ModuleType
) -> None:
    published = importlib.import_module("published")
    said = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(published, "console", said)
    models = {"published": grid_model(**PUBLISHED), "force": grid_model(forces="random", n_rotations=5), "harmonic": random_model()}
    for name, model in models.items():
        (tmp_path / name).mkdir()
        export_model(model, tmp_path / name / "model.pt")
    frame = ethanol()
    frame.calc = SinglePointCalculator(frame, energy=0.0, forces=np.ones((9, 3)))
    ase.io.write(tmp_path / "frames.xyz", frame)
    published.main(tmp_path / "frames.xyz", [tmp_path / name / "model.pt" for name in models], frames=1, only="cutoff")
    title, _, columns, _, row, _ = said.file.getvalue().splitlines()
    assert title.strip() == "1 structures of frames.xyz"
    assert [word.strip() for word in columns.split("┃")[2:-1]] == ["published", "published, intact", "force", "force, fixed", "harmonic"]
    cells = [word.strip() for word in row.split("│")[1:-1]]
    assert cells[0] == "E when a pair crosses the cutoff: mean, largest"
    assert cells[3:] == ["-", "-", "none"]
    assert min(number(cell) for cell in cells[1:3]) > 0.1
