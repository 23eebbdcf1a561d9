"""spinconv check says an engine at a time what it found, on some frames of a file, at 80 columns."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import ase
import ase.io
import pytest
from click.testing import Result
from structures import ethanol
from typer.testing import CliRunner

from models import random_model
from spinconv.export import SpinConvCalculator, export_model
from spinconv.export.check import TOLERANCES, Difference
from spinconv.export.check_structures import read_structures, spread
from spinconv.export.cli import app
from spinconv.export.engines import EngineResult, EngineUnavailable, Evaluate

Check = Callable[..., Result]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(random_model(n_blocks=1), path)
    return path


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 molecules, an angstrom apart."""
    path = tmp_path_factory.mktemp("frames") / "many.xyz"
    molecules = [ethanol() for _ in range(25)]
    for n, atoms in enumerate(molecules):
        atoms.translate([float(n), 0, 0])
    ase.io.write(path, molecules)
    return path


@pytest.fixture
def check(model: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """The command with engines of the test's own, without colour at 80 columns."""

    def run(*arguments: object, **engines: Evaluate) -> Result:
        for module in ("check", "engines"):
            monkeypatch.setattr(f"spinconv.export.{module}.installed_engines", lambda: engines)
        monkeypatch.setattr("spinconv.export.console.console.width", 80)
        return CliRunner().invoke(app, ["check", str(model), *map(str, arguments)])

    return run


calculator = functools.cache(SpinConvCalculator)


def right(path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    atoms.calc = calculator(path, dtype)
    return EngineResult(atoms.get_potential_energy(), atoms.get_forces(), None)


def wrong_far_out(path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    """Right up to 20 Å, then more and more wrong."""
    result = right(path, atoms, dtype)
    far = max(0.0, atoms.positions[0, 0] - 20)
    return result._replace(forces=result.forces + 1e-3 * far)


def absent(path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    raise EngineUnavailable("it is not installed here; `pip install it`")


def no_slabs(path: str, atoms: ase.Atoms, dtype: str) -> EngineResult:
    if atoms.pbc.any():
        raise EngineUnavailable("no slabs")
    return right(path, atoms, dtype)


def test_frames_are_spread_from_the_first_to_the_last(frames: Path) -> None:
    assert spread(25, 20)[0] == 0
    assert spread(25, 20)[-1] == 24
    steps = [b - a for a, b in zip(spread(4000, 20), spread(4000, 20)[1:], strict=False)]
    assert max(steps) - min(steps) <= 1
    chosen = read_structures(frames, 3)
    assert list(chosen.atoms) == ["frame 0", "frame 12", "frame 24"]
    assert chosen.words == "3 of 25 frames of many.xyz, spread evenly"
    assert read_structures(frames, None).words == "25 frames of many.xyz"


def test_an_engine_has_a_row_and_the_end_is_a_verdict(check: Check, frames: Path) -> None:
    done = check(frames, one=right, other=right, third=absent)
    assert done.exit_code == 0, done.output
    for engine in ("eager", "scripted", "forward", "native", "torch", "one", "other"):
        (row,) = [line for line in done.output.splitlines() if line.startswith(f"  {engine} ")]
        assert row.rstrip().endswith("ok")
        assert "frame" in row
    assert done.output.count("it is not installed here") == 1
    assert "20 of 25 frames of many.xyz, spread evenly" in done.output
    last = " ".join(done.output.split())
    assert last.endswith("All agree with ASE on 20 structures: eager, scripted, forward, native, torch, one, other; not compared: third.")


def test_the_worst_frame_of_a_wrong_engine_is_named(check: Check, frames: Path) -> None:
    done = check(frames, "--frames", "all", one=right, other=wrong_far_out)
    assert done.exit_code == 1
    (row,) = [line for line in done.output.splitlines() if "DIFFERS" in line]
    assert row.split()[0] == "other"
    assert "frame 24" in row
    words = " ".join(done.output.split())
    assert "differs from ASE beyond the tolerance: other in " in words
    assert "of 25 structures, most in frame 24; do not use this file" in words


def test_nothing_is_wider_than_80_columns_or_cut(check: Check, frames: Path) -> None:
    done = check(frames, "--frames", 2, **{"lammps, 64 ranks tiled": wrong_far_out, "torchforce": absent})
    assert max(map(len, done.output.splitlines())) <= 80
    assert "…" not in done.output
    assert "tiled" in done.output


def test_structures_that_an_engine_cannot_run_are_counted(check: Check, tmp_path: Path) -> None:
    ase.io.write(
        tmp_path / "mixed.xyz", [ethanol(), ase.Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]], cell=[10, 10, 10], pbc=[True, True, False])]
    )
    done = check(tmp_path / "mixed.xyz", one=no_slabs)
    assert done.exit_code == 0, done.output
    assert "one: skipped for 1 of 2 structures, no slabs" in done.output


def test_json_has_every_engine(check: Check, frames: Path) -> None:
    done = check(frames, "--json", "--frames", 3, one=wrong_far_out, other=absent)
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    engines = {entry["engine"]: entry for entry in found["engines"]}
    assert not found["agree"]
    assert engines["one"]["worst"] == "frame 24"
    assert engines["other"]["skipped"] == {"it is not installed here; `pip install it`": 3}


def test_a_refused_structure_is_named(check: Check, tmp_path: Path) -> None:
    ase.io.write(tmp_path / "gold.xyz", [ethanol(), ase.Atoms("Au")])
    done = check(tmp_path / "gold.xyz")
    assert done.exit_code == 1
    assert "frame 1, ASE: `atoms` must consist of the model's elements" in " ".join(done.output.split())


def test_a_wrong_number_of_frames_is_one_sentence(check: Check, frames: Path) -> None:
    done = check(frames, "--frames", "some")
    assert done.exit_code == 1
    assert "`--frames` must be a number of frames or `all`, got 'some'" in done.output


def test_rounding_of_large_numbers_is_within_every_tolerance() -> None:
    """Forces of 10^5 eV/Å that agree to twelve digits differ by more than 1e-7 eV/Å."""
    assert TOLERANCES["float64"].holds_for(Difference("", "", forces=5e-7, relative=5e-13))
    assert not TOLERANCES["float64"].holds_for(Difference("", "", forces=5e-7, relative=5e-11))
    assert not TOLERANCES["float64"].holds_for(Difference("", "", forces=5e-7, relative=float("nan")))
