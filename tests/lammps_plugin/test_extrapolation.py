"""Atoms unlike those of training in real LAMMPS: one warning a run, the number of atoms at every step, which they are."""

import re
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from outside import covered_by, outside
from structures import ethanol, triclinic, water_box

from models import SHIPPED_MODEL, random_model
from spinconv.export import export_model, read_model
from spinconv.lammps_plugin.engine import box_of

FIELDS = {"channels": 16, "n_blocks": 2}
SYMBOLS = ["H", "C", "O", "Cu"]
WORDS = "WARNING: pair_style spinconv at step "


def write(path: Path, frames: list[ase.Atoms], seed: int = 0) -> Path:
    """A model that was trained on `frames`, it says."""
    coverage = covered_by(frames, SYMBOLS) if frames else None
    export_model(random_model(seed=seed, **FIELDS), path, dtype="float64", coverage=coverage)
    return path


def text_of(atoms: ase.Atoms, model: Any, run: str) -> str:
    """An input of LAMMPS that makes `atoms` in a box that is not tilted, and does `run`."""
    box, numbers = box_of(atoms), sorted(set(atoms.numbers.tolist()))
    low, high = box.origin, box.origin + np.diag(box.edges)
    inside = atoms.get_positions(wrap=bool(atoms.pbc.all())) @ box.rotation.T
    lines = [
        "units metal",
        "boundary " + " ".join("p" if periodic else "f" for periodic in atoms.pbc),
        "atom_modify map array",
        "region cell block " + " ".join(f"{a!r} {b!r}" for a, b in zip(low.tolist(), high.tolist(), strict=True)),
        f"create_box {len(numbers)} cell",
        "mass * 1.0",
        *(
            f"create_atoms {numbers.index(z) + 1} single {x!r} {y!r} {z_!r}"
            for z, (x, y, z_) in zip(atoms.numbers, inside.tolist(), strict=True)
        ),
        f"pair_style spinconv {model}",
        "pair_coeff * * " + " ".join(ase.data.chemical_symbols[z] for z in numbers),
        run,
    ]
    return "\n".join(lines)


COUNT = "compute pair all pair spinconv\nthermo 1\nthermo_style custom step c_pair[1] pe\n"


def counts_of(output: str) -> list[int]:
    """Atoms outside by step."""
    return [int(float(row[1])) for row in map(str.split, output.splitlines()) if len(row) == 3 and row[0].isdigit()]


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("structure", [ethanol, lambda: water_box(3)], ids=["ethanol", "water"])
def test_atoms_outside_are_those_of_loops_over_neighbors(structure: Any, ranks: int, program: Any, tmp_path: Path) -> None:
    atoms, frame = structure(), structure()
    frame.positions[: len(frame) // 2] += 0.01 * np.random.default_rng(0).normal(size=(len(frame) // 2, 3))
    write(tmp_path / "model.pt", [frame])
    expected = outside(atoms, covered_by([frame], SYMBOLS), SYMBOLS)
    assert 0 < np.count_nonzero(expected) < len(atoms) or len(atoms) == 9
    dump = "fix outside all pair 1 spinconv outside 1\ndump 1 all custom 1 dump.out id f_outside\ndump_modify 1 sort id\nrun 0"
    done = program(text_of(atoms, "model.pt", COUNT + dump), ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "dump.out", skiprows=9)[:, 1], expected)
    assert counts_of(done.stdout) == [np.count_nonzero(expected)]
    assert done.stdout.count(WORDS) == int(expected.any())
    if expected.any():
        assert f"the model extrapolates for {np.count_nonzero(expected)} atoms" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_warns_once_and_the_next_again(ranks: int, program: Any, tmp_path: Path) -> None:
    write(tmp_path / "model.pt", [ethanol()])
    run = COUNT + "fix 1 all nve\ntimestep 1e-6\nrun 5\nrun 5"
    done = program(text_of(water_box(), "model.pt", run), ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(WORDS)]
    assert [re.sub(r".*at step (\d+):.*", r"\1", line) for line in lines] == ["0", "5"]
    for line in lines:
        assert "the model extrapolates for 24 atoms, which is said once a run: atoms " in line
        assert re.search(r"\(O\) are \d\.\d{3} A apart, training had no O and O within 5 A", line)
    assert counts_of(done.stdout) == [24] * 12


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_case_farthest_outside_is_named_wherever_it_is(ranks: int, program: Any, tmp_path: Path) -> None:
    """A pair too close at one end of a long box or at the other, and two atoms that are alone, one on either rank."""
    frame = ase.Atoms("HO", [(1, 2, 2), (2, 2, 2)])
    write(tmp_path / "model.pt", [frame])
    for x in (3.0, 53.0):
        atoms = ase.Atoms("HOHO", [(20, 2, 2), (40, 2, 2), (x, 2, 2), (x + 0.7, 2, 2)], cell=[60, 9, 9], pbc=True)
        done = program(text_of(atoms, "model.pt", "run 0"), ranks=ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        words = r"for 4 atoms, .*: atoms (3 \(H\) and 4 \(O\)|4 \(O\) and 3 \(H\)) are 0\.700 A apart, the closest . and . of training were"
        assert re.search(words, done.stdout), done.stdout


def test_a_number_of_neighbors_is_named(program: Any, tmp_path: Path) -> None:
    write(tmp_path / "model.pt", [ethanol()])
    done = program(text_of(ethanol()[[1]], "model.pt", "run 0"))
    assert "atom 1 (C) has 0 neighbors within 5 A, C of training had 8" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_training_frames_warn_of_nothing(ranks: int, program: Any, tmp_path: Path) -> None:
    atoms = water_box(3)
    write(tmp_path / "model.pt", [atoms, ethanol(), triclinic()])
    done = program(text_of(atoms, "model.pt", COUNT + "run 0"), ranks=ranks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert WORDS not in done.stdout
    assert counts_of(done.stdout) == [0]


def test_a_committee_has_the_number_after_its_deviations(lmp: Any, tmp_path: Path) -> None:
    files = [write(tmp_path / "a.pt", [ethanol()], 0), write(tmp_path / "b.pt", [triclinic()], 1), write(tmp_path / "c.pt", [], 2)]
    atoms = ethanol()
    elements = lmp.place(atoms)
    lmp(f"pair_style spinconv {' '.join(map(str, files))} out_freq 0", f"pair_coeff * * {elements}", "compute pair all pair spinconv")
    lmp("thermo_style custom step pe c_pair[*]", "run 0 post no")
    compute = np.array(lmp.engine.numpy.extract_compute("pair", 0, 1))
    assert compute[3] == np.count_nonzero(outside(atoms, covered_by([triclinic()], SYMBOLS), SYMBOLS)) == 9
    assert compute[0] > compute[2] > compute[1] > 0


def test_a_file_that_does_not_know_has_no_number(lmp: Any, tmp_path: Path) -> None:
    elements = lmp.place(ethanol())
    lmp(f"pair_style spinconv {write(tmp_path / 'model.pt', [])}", f"pair_coeff * * {elements}")
    with pytest.raises(Exception, match="outside"):
        lmp("fix outside all pair 1 spinconv outside 0", "run 0 post no")


def test_a_file_that_does_not_know_warns_of_atoms_on_top_of_each_other(program: Any, tmp_path: Path) -> None:
    write(tmp_path / "model.pt", [])
    atoms = ethanol()
    atoms.set_distance(2, 3, 0.45, fix=0)
    done = program(text_of(atoms, "model.pt", "run 0"))
    assert "WARNING: pair_style spinconv: two atoms are 0.45 A apart; no model was trained for that" in done.stdout


def test_types_that_are_null_are_nobodys_neighbors(lmp: Any, tmp_path: Path) -> None:
    atoms = water_box()
    oxygen = atoms[atoms.numbers == 8]
    lmp.place(atoms)
    lmp(f"pair_style spinconv {write(tmp_path / 'model.pt', [oxygen])}", "pair_coeff * * NULL O", "compute pair all pair spinconv")
    lmp("fix outside all pair 1 spinconv outside 0", "thermo_style custom step pe c_pair[1]", "run 0 post no")
    assert np.array(lmp.engine.numpy.extract_compute("pair", 0, 1)).tolist() == [0.0]
    assert not np.array(lmp.engine.numpy.extract_fix("outside", 1, 1))[:24].any()


def test_water_is_outside_the_shipped_model_of_ethanol(program: Any) -> None:
    if not SHIPPED_MODEL.exists() or read_model(SHIPPED_MODEL).metadata.get("coverage") is None:
        pytest.skip("the shipped model is not here")
    done = program(text_of(water_box(), SHIPPED_MODEL, COUNT + "run 0"))
    assert counts_of(done.stdout) == [24]
    assert "training had no O and O within 5 A" in done.stdout
