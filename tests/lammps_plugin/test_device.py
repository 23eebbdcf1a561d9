"""`device opencl`: the kernels in LAMMPS, on one rank and on several that share the device, compute what the CPU computes.

Atoms are on the device while neighbor lists, boxes, types and the atoms themselves change."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.io
import numpy as np
import pytest
from opencl import require_opencl
from outside import covered_by
from packed import astray
from structures import ethanol, triclinic, water_box

from models import random_model
from spinconv.export import export_model

SAME = 1e-10  # relative to the largest: sums of some thousand numbers, each rounded at 1e-16, in another order, over some steps


@pytest.fixture(scope="session", autouse=True)
def opencl() -> None:
    require_opencl()


@pytest.fixture(scope="module")
def gentle_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forces of some 0.05 eV/Å: water that starts hot stays together. It says that it was trained on ethanol and some water."""
    path = tmp_path_factory.mktemp("gentle") / "model.pt"
    frame = water_box()
    frame.positions[:12] += 0.01 * np.random.default_rng(0).normal(size=(12, 3))
    coverage = covered_by([ethanol(), frame], ["H", "C", "O", "Cu"])
    export_model(random_model(channels=16, n_blocks=2), path, dtype="float64", coverage=coverage)
    return path


class Run(NamedTuple):
    output: str
    thermo: np.ndarray
    """All rows of numbers that thermo has printed."""
    atoms: np.ndarray
    """Of the last frame of dump.out: what it has of the atoms by ID."""


def run(program: Any, folder: Path, text: str, ranks: int = 1) -> Run:
    done = program(text, ranks=ranks, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    rows, n = [], 0
    for words in map(str.split, done.stdout.splitlines()):
        if words[:1] == ["Step"]:
            n = len(words)
        elif n > 0 and len(words) == n and words[0].isdigit():
            rows.append([float(word) for word in words])
    frame = (folder / "dump.out").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    return Run(done.stdout, np.array(rows), np.array([line.split() for line in frame], float))


def assert_same(found: Run, expected: Run) -> None:
    assert len(expected.thermo) > 0
    for ours, theirs in ((found.thermo, expected.thermo), (found.atoms, expected.atoms)):
        assert ours.shape == theirs.shape
        apart = np.abs(ours - theirs).max(axis=0) / np.maximum(np.abs(theirs).max(axis=0), 1e-3)
        assert apart.max() < SAME, apart


OUTPUT = """
thermo 1
thermo_style custom step atoms pe etotal pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
dump out all custom 1 dump.out id type x y z fx fy fz
dump_modify out sort id format float %.17g
"""
WATER = """
units metal
atom_modify map array
{processors}
read_data data.structure
{style}
neighbor 0.2 bin
neigh_modify delay 0 every 1 check yes
timestep 0.0005
velocity all create 2000 4928459 loop geom
fix nve all nve
"""
STYLE = "pair_style spinconv {model} precision float64 device {device}\npair_coeff * * {elements}"
OVERLAY = (
    "pair_style hybrid/overlay lj/cut 4.0 spinconv {model} precision float64 device {device}\n"
    "pair_coeff * * lj/cut 0.001 1.5\npair_coeff * * spinconv {elements}"
)
PER_ATOM = """
compute stress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute energy all pe/atom
undump out
dump out all custom 1 dump.out id fx fy fz x y z c_energy c_stress[*] c_centroid[*]
dump_modify out sort id format float %.17g
"""
OUTSIDE = """
compute pair all pair spinconv
thermo_style custom step atoms pe c_pair[1]
fix outside all pair 1 spinconv energy 1 outside 1
undump out
dump out all custom 1 dump.out id fx f_outside[1] f_outside[2]
dump_modify out sort id format float %.17g
"""
CASES: dict[str, tuple[str, dict[str, str]]] = {
    "lists are made anew": (WATER + OUTPUT + "run 20", {}),
    "numbers of atoms": (WATER + OUTPUT + PER_ATOM + "run 3", {}),
    "box of another shape in each step": (WATER + OUTPUT + "unfix nve\nfix npt all npt temp 300 300 0.05 aniso 0 3000 0.05\nrun 10", {}),
    "types that are no part": (WATER + OUTPUT + "run 10", {"elements": "NULL O"}),
    "hybrid": (WATER + OUTPUT + PER_ATOM + "run 10", {"style": OVERLAY}),
    "atoms are deleted": (WATER + OUTPUT + "run 5\ngroup gone id 4:9\ndelete_atoms group gone compress no\nrun 5", {}),
    "atoms are made": (WATER + OUTPUT + "run 5\ncreate_atoms 1 single 0.1 3.1 3.1\nvelocity all scale 300\nrun 5", {}),
    "atoms are deposited": (
        WATER + OUTPUT + "region all block EDGE EDGE EDGE EDGE EDGE EDGE\nfix rain all deposit 3 1 2 12345 region all near 0.8\nrun 6",
        {},
    ),
    "types change": (WATER + OUTPUT + "run 3 post no\nset atom 2 type 2\nset atom 1 type 1\nrun 0 post no\nrun 3", {}),
    "swaps": (WATER + OUTPUT + "neigh_modify delay 1000 check no\nfix swap all atom/swap 1 3 29494 30000 ke no types 1 2\nrun 5", {}),
    "minimize": (WATER + OUTPUT + "minimize 0 1e-4 8 20", {}),
    "rerun": (WATER + OUTPUT + "run 4\nundump out\ndump again all custom 1 dump.again id fx fy fz\nrerun dump.out dump x y z", {}),
    "atoms unlike those of training": (WATER + OUTPUT + OUTSIDE + "run 4\nrun 4", {}),
}


def write_water(folder: Path, atoms: ase.Atoms | None = None) -> None:
    ase.io.write(folder / "data.structure", atoms or water_box(), format="lammps-data", specorder=["H", "O"], masses=True)


def filled(case: str, model: Path, device: str, processors: str = "") -> str:
    text, words = CASES[case]
    style = words.get("style", STYLE).format(model=model, device=device, elements=words.get("elements", "H O"))
    return text.format(style=style, processors=processors)


@pytest.mark.parametrize("case", CASES)
def test_a_device_has_the_numbers_of_the_cpu(case: str, program: Any, tmp_path: Path, gentle_model: Path) -> None:
    write_water(tmp_path)
    expected = run(program, tmp_path, filled(case, gentle_model, "cpu"))
    if case == "lists are made anew":
        assert int(re.findall(r"Neighbor list builds = (\d+)", expected.output)[-1]) > 4
    for ranks in (1, 2, 4) if case in ("lists are made anew", "numbers of atoms") else (1, 2):
        if case == "swaps":  # each rank draws its own
            expected = run(program, tmp_path, filled(case, gentle_model, "cpu"), ranks)
        assert_same(run(program, tmp_path, filled(case, gentle_model, "opencl"), ranks), expected)


def test_forces_that_are_large(program: Any, tmp_path: Path, model_file: Path) -> None:
    write_water(tmp_path)
    expected = run(program, tmp_path, filled("numbers of atoms", model_file, "cpu"))
    for ranks in (1, 2):
        assert_same(run(program, tmp_path, filled("numbers of atoms", model_file, "opencl"), ranks), expected)


PLACED = """
units metal
boundary {boundary}
{map}
{processors}
read_data data.structure
pair_style spinconv {model} precision float64 device {device}
pair_coeff * * {elements}
neighbor 0.3 bin
neigh_modify delay 0 every 1 check yes
timestep 0.0005
velocity all create 600 4928459 loop geom
fix nve all nve
"""
ARRAY = "atom_modify map array"
STRUCTURES: dict[str, tuple[Any, str, str, int, str]] = {
    "triclinic": (triclinic, "p p p", "", 2, ARRAY),
    "shrink-wrapped": (ethanol, "s s s", "", 2, ARRAY),
    "ranks without atoms": (ethanol, "f f f", "processors 4 1 1", 4, ARRAY),
    "no map": (triclinic, "p p p", "", 2, ""),
    "hash map": (triclinic, "p p p", "", 1, "atom_modify map hash"),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures(name: str, program: Any, tmp_path: Path, gentle_model: Path) -> None:
    structure, boundary, processors, ranks, atom_map = STRUCTURES[name]
    atoms = structure()
    if structure is ethanol:
        atoms.set_cell([60, 20, 20])
        atoms.positions += [4, 10, 10]
    symbols = sorted(set(atoms.symbols))
    ase.io.write(tmp_path / "data.structure", atoms, format="lammps-data", specorder=symbols, masses=True)
    runs = []
    for device, n, grid in (("cpu", 1, ""), ("opencl", ranks, processors)):
        text = PLACED.format(
            boundary=boundary, map=atom_map, processors=grid, model=gentle_model, device=device, elements=" ".join(symbols)
        )
        runs.append(run(program, tmp_path, text + OUTPUT + PER_ATOM + "run 5", n))
    assert_same(runs[1], runs[0])


def test_the_log_says_what_computes(program: Any, tmp_path: Path, gentle_model: Path) -> None:
    write_water(tmp_path)
    assert "float64 on opencl:0, native opencl" in run(program, tmp_path, filled("rerun", gentle_model, "opencl")).output


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_warns_once_as_on_the_cpu(ranks: int, program: Any, tmp_path: Path, gentle_model: Path) -> None:
    write_water(tmp_path)
    warnings = []
    for device in ("cpu", "opencl"):
        output = run(program, tmp_path, filled("atoms unlike those of training", gentle_model, device), ranks).output
        warnings.append([line for line in output.splitlines() if "the model extrapolates" in line])
    assert len(warnings[0]) == 2
    assert warnings[1] == warnings[0]


def test_what_is_asked_for_is_of_the_last_step(lmp: Any, gentle_model: Path) -> None:
    numbers = []
    for device in ("cpu", "opencl"):
        lmp("clear")
        elements = lmp.place(water_box())
        lmp(f"pair_style spinconv {gentle_model} device {device}", f"pair_coeff * * {elements}", "fix 1 all nve", "run 3 post no")
        numbers.append([peratom(lmp, name) for name in ("energy", "outside")])
    np.testing.assert_allclose(numbers[1][0], numbers[0][0], rtol=SAME)
    np.testing.assert_array_equal(numbers[1][1], numbers[0][1])


def peratom(lmp: Any, name: str) -> np.ndarray:
    """By `fix pair`, which asks as programs do."""
    lmp(f"fix asked all pair 1 spinconv {name} 0", "run 0 post no")
    found = np.array(lmp.engine.numpy.extract_fix("asked", 1, 1))[: len(lmp.order)][lmp.order]
    lmp("unfix asked")
    return found


# ---- what goes wrong, on one rank of two as on one

BOX = "units metal\nregion cell block 0 60 0 9 0 9\ncreate_box 1 cell\nmass 1 1.0\n"
ON_DEVICE = "\npair_style spinconv {model} precision float64 device opencl\npair_coeff * * {element}\nrun 0"


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_on_top_of_each_other_are_named(ranks: int, program: Any, model_file: Path) -> None:
    atoms = "create_atoms 1 single 30 2 2\ncreate_atoms 1 single 2 2 2\ncreate_atoms 1 single 2.005 2 2"
    done = program(BOX + atoms + ON_DEVICE.format(model=model_file, element="H"), ranks=ranks)
    assert done.returncode != 0
    assert "at step 0: atoms 2 and 3 are 0.005 Å apart; atoms must be at least 0.01 Å apart" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_results_that_are_no_number_end_all_ranks(ranks: int, program: Any, model_file: Path, tmp_path: Path) -> None:
    astray(model_file, tmp_path / "model.pt")
    atoms = "\n".join(f"create_atoms 1 single {2 + n} 2 2" for n in range(4))
    done = program(BOX + atoms + ON_DEVICE.format(model="model.pt", element="Cu"), ranks=ranks)
    assert done.returncode != 0
    assert "ERROR: pair_style spinconv at step 0: energy or force of atom " in done.stdout
    assert "is not a number; its nearest neighbor is at 1 A" in done.stdout


def test_a_position_that_is_no_number_is_named(lmp: Any, gentle_model: Path) -> None:
    elements = lmp.place(water_box())
    lmp(
        f"pair_style spinconv {gentle_model} device opencl",
        f"pair_coeff * * {elements}",
        "neigh_modify delay 1000 check no",
        "run 1 post no",
    )
    lmp.engine.numpy.extract_atom("x")[0] = np.nan
    number = lmp.engine.numpy.extract_atom("id")[0]
    with pytest.raises(Exception, match=f"the position of atom {number} is not a number; the simulation went astray"):
        lmp("run 1 pre no post no")


def test_a_committee_and_a_model_by_kernels_agree(program: Any, tmp_path: Path, gentle_model: Path) -> None:
    """Of two equal models, whose edges the host has made."""
    write_water(tmp_path)
    text = filled("numbers of atoms", gentle_model, "opencl")
    both = text.replace(f"spinconv {gentle_model}", f"spinconv {gentle_model} {gentle_model} out_freq 0")
    assert_same(run(program, tmp_path, both, 2), run(program, tmp_path, text, 2))
