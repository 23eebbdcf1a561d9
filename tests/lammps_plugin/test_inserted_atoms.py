"""Atoms that come and go while a run goes on: ion pairs of `fix charge/regulation`, molecules of `fix deposit`, alone and in a hybrid."""

import re
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from structures import with_calculator

from models import random_model
from spinconv.export import SpinConvCalculator, export_model


def last_frame(path: Path, side: float) -> ase.Atoms:
    """What `write_dump` wrote of types 1 and 2, which are H and O."""
    rows = [line.split() for line in path.read_text().splitlines()[9:]]
    chosen = [row for row in rows if row[1] in ("1", "2")]
    symbols = ["HO"[int(row[1]) - 1] for row in chosen]
    return ase.Atoms(symbols, np.array([row[2:] for row in chosen], dtype=float), cell=[side] * 3, pbc=True)


def steps(output: str, columns: int) -> np.ndarray:
    """Rows of numbers that begin with a step and a count of atoms."""
    lines = [line.split() for line in output.splitlines()]
    found = [words for words in lines if len(words) == columns and words[0].isdigit() and words[1].isdigit()]
    return np.array(found, dtype=float)


@pytest.fixture(scope="module")
def weak_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H and O attract each other by less than kT: a gas of ions does not condense."""
    path = tmp_path_factory.mktemp("weak") / "model.pt"
    export_model(random_model(), path, dtype="float64")
    return path


IONS = """
units metal
atom_style charge
atom_modify map array
region box block 0 9 0 9 0 9
create_box 2 box
mass 1 1.008
mass 2 15.999
create_atoms 1 random 3 991 NULL overlap 2.0 maxtry 500
create_atoms 2 random 3 992 NULL overlap 2.0 maxtry 500
set type 1 charge 1
set type 2 charge -1
pair_style spinconv {model}
pair_coeff * * H O
neighbor 1.0 bin
variable zero equal 0.0
variable up atom "(type==1)*{hydrogen!r}+(type==2)*{oxygen!r}"
fix up all addforce v_zero 0.0 0.0 energy v_up
fix_modify up energy yes
fix nve all nve
timestep 0.0005
fix ions all charge/regulation 1 2 pIp -0.5 pIm -0.5 lunit_nm 0.1 temp 300 nevery 1 nmc 10 seed 4711
thermo_style custom step atoms pe f_ions[1] f_ions[2]
thermo_modify format float %.12g
thermo 1
run 3 post no
run 3 post no
write_dump all custom last id type x y z modify format float %.17g
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_ions_of_charge_regulation_have_the_energy_of_their_atoms(ranks: int, program: Any, weak_model: Path, tmp_path: Path) -> None:
    hydrogen, oxygen = (-with_calculator(ase.Atoms(e), SpinConvCalculator(weak_model)).get_potential_energy() for e in "HO")
    done = program(IONS.format(model=weak_model, hydrogen=hydrogen, oxygen=oxygen), ranks=ranks)
    assert done.returncode == 0, done.stdout
    found, atoms = steps(done.stdout, 5), last_frame(tmp_path / "last", 9.0)
    assert 5 < found[-1, 4] < found[-1, 3]  # of the attempts some were accepted
    assert np.ptp(found[:, 1]) > 0
    assert 0 < len(atoms) == found[-1, 1]
    counts = atoms.symbols.formula.count()
    expected = with_calculator(atoms, SpinConvCalculator(weak_model)).get_potential_energy()
    expected += counts["H"] * hydrogen + counts["O"] * oxygen
    assert abs(expected) > 1e-4  # they interact
    assert found[-1, 2] == pytest.approx(expected, abs=1e-9)


WATER = """water

3 atoms
2 bonds

Coords

1 0 0 0
2 0.9572 0 0
3 -0.24 0.927 0

Types

1 2
2 1
3 1

Bonds

1 1 1 2
2 1 1 3

Special Bond Counts

1 2 0 0
2 1 1 0
3 1 1 0

Special Bonds

1 2 3
2 1 3
3 1 2
"""
DEPOSIT = """
units metal
atom_style molecular
atom_modify map array
region box block 0 14 0 14 0 14
create_box 3 box bond/types 1 extra/bond/per/atom 2 extra/special/per/atom 2
mass 1 1.008
mass 2 15.999
mass 3 39.948
molecule water water.txt
create_atoms 3 random 4 77 NULL overlap 3.0 maxtry 500
bond_style zero
bond_coeff *
special_bonds {special}
{style}
fix nve all nve
timestep 0.0002
fix rain all deposit 3 0 2 12345 region box near 3.0 mol water attempt 50
thermo_style custom step atoms pe
thermo_modify format float %.12g
thermo 1
run 9
write_dump all custom last id type x y z modify format float %.17g
"""
STYLES = {
    "alone": "pair_style spinconv {model}\npair_coeff * * H O NULL",
    "hybrid": "pair_style hybrid spinconv {model} lj/cut 5.0\npair_coeff * * spinconv H O NULL\npair_coeff * 3 lj/cut 0.0 1.0",
    "overlay": "pair_style hybrid/overlay spinconv {model} lj/cut 5.0\npair_coeff * * spinconv H O NULL\npair_coeff * * lj/cut 0.0 1.0",
}


@pytest.mark.parametrize(("style", "ranks"), [("alone", 1), ("hybrid", 1), ("hybrid", 2), ("overlay", 1), ("overlay", 2)])
def test_molecules_that_are_deposited_have_the_energy_of_their_atoms(
    style: str, ranks: int, program: Any, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "water.txt").write_text(WATER)
    done = program(DEPOSIT.format(special="lj/coul 1.0 1.0 1.0", style=STYLES[style].format(model=model_file)), ranks=ranks)
    assert done.returncode == 0, done.stdout
    found, atoms = steps(done.stdout, 3), last_frame(tmp_path / "last", 14.0)
    assert (found[0, 1], found[-1, 1], len(atoms)) == (4, 13, 9)
    assert found[-1, 2] == pytest.approx(with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-10)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("style", STYLES)
def test_molecules_whose_bonds_are_left_out_end_the_run_that_deposits_them(
    style: str, ranks: int, program: Any, model_file: Path, tmp_path: Path
) -> None:
    """At first there is none, and nothing is missing."""
    (tmp_path / "water.txt").write_text(WATER)
    done = program(DEPOSIT.format(special="lj/coul 0.0 0.0 0.5", style=STYLES[style].format(model=model_file)), ranks=ranks)
    assert done.returncode != 0
    words = r"ERROR: pair_style spinconv at step [1-9]: needs every neighbor, but `special_bonds` leaves out 1-2 pairs"
    assert re.search(words, done.stdout)


INTO_AN_ATOM = """
units metal
atom_modify map array
region box block 0 9 0 9 0 9
create_box 2 box
mass 1 1.008
mass 2 15.999
create_atoms 2 single 4.5 4.5 4.5
region close sphere 4.5 4.5 4.5 0.08
pair_style spinconv {model}
pair_coeff * * H O
fix trial all widom 1 20 1 4711 300 full_energy region close
thermo_style custom step atoms pe f_trial[2]
thermo 1
run 3 post no
"""


def test_an_insertion_into_an_atom_is_rejected_and_does_not_end_the_run(program: Any, model_file: Path) -> None:
    """All 60 within 0.08 Å of the atom: exp(-E/kT) is 0."""
    done = program(INTO_AN_ATOM.format(model=model_file))
    assert done.returncode == 0, done.stdout
    found = steps(done.stdout, 4)
    assert found[-1, :2].tolist() == [3, 1]
    assert (found[1:, 3] == 0).all()
