"""A neighbor list without pairs that the model needs is refused, whenever and however they were left out; excluded atoms are not there."""

import re
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from structures import ethanol, water_box, with_calculator

from spinconv.export import SpinConvCalculator

BONDS_OF_ETHANOL = [(1, 2), (2, 3), (3, 4), (2, 5), (2, 6), (1, 7), (1, 8), (1, 9)]
TYPES = {1: 1, 6: 2, 8: 3}


def refused(lmp: Any, words: str, *lines: str) -> None:
    with pytest.raises(Exception, match=re.escape(words)):
        lmp(*lines)


def data_file(path: Path, bonds: list[tuple[int, int]], atoms: ase.Atoms | None = None) -> Path:
    """Ethanol as `atom_style bond` has it: IDs in the order of `atoms`."""
    atoms = ethanol() if atoms is None else atoms
    rows = [
        f"{n} 1 {TYPES[z]} {x!r} {y!r} {w!r}"
        for n, (z, (x, y, w)) in enumerate(zip(atoms.numbers, atoms.positions.tolist(), strict=True), 1)
    ]
    text = (
        f"ethanol\n\n{len(rows)} atoms\n{len(bonds)} bonds\n3 atom types\n1 bond types\n4 extra special per atom\n4 extra bond per atom\n"
    )
    text += (
        "".join(f"-20 20 {k}lo {k}hi\n" for k in "xyz") + "\nMasses\n\n1 1.008\n2 12.011\n3 15.999\n\nAtoms # bond\n\n" + "\n".join(rows)
    )
    if bonds:
        text += "\n\nBonds\n\n" + "\n".join(f"{n} 1 {i} {j}" for n, (i, j) in enumerate(bonds, 1))
    path.write_text(text + "\n")
    return path


def start(lmp: Any, data: Path, special: str, style: str, *lines: str) -> None:
    lmp("units metal", "atom_style bond", "boundary f f f", f"read_data {data}", "bond_style zero", "bond_coeff * 1.0")
    lmp(f"special_bonds {special}", f"pair_style spinconv {style}", "pair_coeff * * H C O", *lines)


LEFT_OUT = {"lj/coul 0.0 1.0 1.0": 2, "lj/coul 1.0 0.0 0.0": 3, "lj/coul 1.0 1.0 0.0": 4, "lj/coul 1e-50 0.0 1.0": 3}


@pytest.mark.parametrize(("special", "kind"), LEFT_OUT.items())
def test_special_neighbors_that_come_from_bonds_alone_are_missed(
    special: str, kind: int, lmp: Any, model_file: Path, tmp_path: Path
) -> None:
    start(lmp, data_file(tmp_path / "data", BONDS_OF_ETHANOL), special, str(model_file))
    words = f"needs every neighbor, but `special_bonds` leaves out 1-{kind} pairs; use `special_bonds lj/coul 1.0 1.0 1.0`"
    refused(lmp, words, "run 0")
    lmp("special_bonds lj/coul 1.0 1.0 1.0", "run 0 post no")
    assert lmp.energy == pytest.approx(with_calculator(ethanol(), SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-12)


def test_special_neighbors_outlive_their_bonds(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    """`delete_bonds ... remove` without `special` leaves what bonds have made."""
    start(lmp, data_file(tmp_path / "data", BONDS_OF_ETHANOL), "lj/coul 0.0 0.0 0.0", str(model_file), "delete_bonds all bond 1 remove")
    refused(lmp, "`special_bonds` leaves out 1-2 pairs", "run 0")


@pytest.mark.parametrize("ranks", [1, 2])
def test_bonds_that_a_run_makes_end_it(ranks: int, program: Any, model_file: Path, tmp_path: Path) -> None:
    data_file(tmp_path / "data", [])
    text = f"""
    units metal
    atom_style bond
    boundary f f f
    processors {ranks} 1 1
    read_data data
    bond_style zero
    bond_coeff * 1.0
    special_bonds lj/coul 0.0 1.0 1.0
    pair_style spinconv {model_file}
    pair_coeff * * H C O
    fix nve all nve
    fix make all bond/create 2 2 2 2.0 1
    timestep 1e-6
    run 10
    """
    done = program(text, ranks=ranks)
    assert done.returncode != 0
    assert re.search(
        r"ERROR: pair_style spinconv at step [1-9]\d*: needs every neighbor, but `special_bonds` leaves out 1-2 pairs", done.stdout
    )


def test_bonds_without_pairs_left_out_are_no_concern(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    """Weights that are not both zero scale the pairs of other styles; the model has all."""
    start(lmp, data_file(tmp_path / "data", BONDS_OF_ETHANOL), "lj 0.0 0.0 0.5 coul 0.5 0.5 0.5", str(model_file), "run 0 post no")
    assert lmp.energy == pytest.approx(with_calculator(ethanol(), SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-12)


def test_bonds_of_atoms_that_are_no_part_of_the_model_are_no_concern(lmp: Any, model_file: Path, tmp_path: Path) -> None:
    atoms = ethanol()
    start(lmp, data_file(tmp_path / "data", [(1, 2)]), "lj/coul 0.0 0.0 0.0", str(model_file))
    lmp("pair_coeff * * H NULL O", "run 0 post no")
    expected = with_calculator(atoms[atoms.numbers != 6], SpinConvCalculator(model_file))
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=1e-12)


def water(lmp: Any, model_file: Path, *before: str) -> None:
    elements = lmp.place(water_box())
    lmp(*before, f"pair_style spinconv {model_file}", f"pair_coeff * * {elements}")


LISTS: dict[str, tuple[list[str], str]] = {
    "include": (["group some id 1:12", "atom_modify first some", "neigh_modify include some"], "`neigh_modify include` leaves atoms out"),
    "types": (["neigh_modify exclude type 1 2"], "`neigh_modify exclude type 1 2` leaves some out; take that line out"),
    "groups": (["group some id 1:12", "neigh_modify exclude group some some"], "`neigh_modify exclude group some some` leaves some out"),
    "ghosts": (["group some type 1", "atom_modify first some", "comm_modify group some"], "`comm_modify group` leaves ghosts out"),
}


@pytest.mark.parametrize(("lines", "words"), LISTS.values(), ids=LISTS)
def test_a_list_that_leaves_atoms_out_is_refused(lines: list[str], words: str, lmp: Any, model_file: Path) -> None:
    water(lmp, model_file, *lines)
    refused(lmp, "needs every neighbor, but " + words, "run 0")


def test_pairs_of_elements_that_a_hybrid_gives_away_are_missed(lmp: Any, model_file: Path) -> None:
    lmp.place(water_box())
    lmp(f"pair_style hybrid lj/cut 4.0 spinconv {model_file}", "pair_coeff * * spinconv H O", "pair_coeff 1 2 lj/cut 0.01 1.0")
    refused(lmp, "a `pair_coeff` gives types 1 and 2 to another style", "run 0")


def test_an_exclusion_that_does_not_concern_the_model_is_none(lmp: Any, model_file: Path) -> None:
    atoms = water_box()
    lmp.place(atoms)
    lmp(f"pair_style spinconv {model_file}", "pair_coeff * * NULL O", "neigh_modify exclude type 1 2", "run 0 post no")
    expected = with_calculator(atoms[atoms.numbers == 8], SpinConvCalculator(model_file))
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=1e-12)


# ---- atoms that are excluded from everything


@pytest.mark.parametrize("order", ["gone all", "all gone"])
def test_atoms_excluded_from_all_are_not_there(order: str, lmp: Any, model_file: Path) -> None:
    atoms = water_box()
    expected = with_calculator(atoms[6:], SpinConvCalculator(model_file))
    water(lmp, model_file, "group gone id 1:6", f"neigh_modify exclude group {order}")
    lmp("run 0 post no", "run 0 post no")
    assert lmp.energy == pytest.approx(expected.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(lmp.forces[6:], expected.get_forces(), rtol=0, atol=1e-10)
    assert (lmp.forces[:6] == 0).all()
    lmp("neigh_modify exclude none", "run 0 post no")
    assert lmp.energy == pytest.approx(with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy(), rel=1e-12)


GAS = """
units metal
atom_modify map array
region box block 0 {side} 0 {side} 0 {side}
create_box 2 box
mass 1 1.008
mass 2 15.999
create_atoms 1 random {n} 991 NULL overlap {apart} maxtry 500
{style}
neighbor 1.0 bin
variable zero equal 0.0
variable up atom {up!r}
fix up all addforce v_zero 0.0 0.0 energy v_up
fix_modify up energy yes
fix gas all gcmc 1 20 {moves} 1 4711 300 {mu!r} 0.5 full_energy
thermo_style custom step atoms pe f_gas[4] f_gas[6]
thermo_modify format float %.12g
thermo 1
run {steps} post no
run {steps} post no
write_dump all custom last id type x y z modify format float %.17g
"""
BOLTZMANN, PLANCK = 8.617343e-5, 4.135667403e-3  # of `units metal`, as LAMMPS has them


def gas(style: str, up: float, side: float, n: int, steps: int, moves: int = 0, apart: float = 10.0) -> str:
    """Input for hydrogen atoms at 300 K of which there are `n` in the mean where they do not interact."""
    kt = BOLTZMANN * 300
    wave = np.sqrt(PLANCK**2 / (2 * np.pi * 1.008 * 1.0364269e-4 * kt))  # mvv2e of `units metal`
    mu = float(kt * np.log(n * wave**3 / side**3))
    return GAS.format(style=style, up=up, side=side, n=n, steps=steps, moves=moves, mu=mu, apart=apart)


def rows(output: str) -> np.ndarray:
    """step, atoms, pe, insertions and deletions that were accepted."""
    lines = [line.split() for line in output.splitlines()]
    return np.array([[float(word) for word in words] for words in lines if len(words) == 5 and words[0].isdigit() and words[1].isdigit()])


def reference_energy(model_file: Path) -> float:
    return float(with_calculator(ase.Atoms("H"), SpinConvCalculator(model_file)).get_potential_energy())


def test_an_ideal_gas_has_as_many_atoms_as_it_should(program: Any, model_file: Path) -> None:
    """The same random numbers decide as with a pair style of no energy; in a box of 60 Å hardly two atoms meet."""
    style = f"pair_style spinconv {model_file}\npair_coeff * * H O"
    model = program(gas(style, -reference_energy(model_file), 60.0, 10, 15))
    nothing = program(gas("pair_style lj/cut 4.0\npair_coeff * * 0.0 1.0", 0.0, 60.0, 10, 15))
    assert model.returncode == nothing.returncode == 0, model.stdout
    ours, theirs = rows(model.stdout), rows(nothing.stdout)
    assert len(ours) == len(theirs) == 32
    assert np.ptp(ours[:, 1]) >= 3
    assert ours[:, 4].max() > 20, "hardly anything was deleted"
    assert abs(ours[:, 1].mean() - theirs[:, 1].mean()) < 2


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_gas_that_interacts_has_the_energy_of_its_atoms(ranks: int, program: Any, model_file: Path, tmp_path: Path) -> None:
    energy = reference_energy(model_file)
    text = gas(f"pair_style spinconv {model_file}\npair_coeff * * H O", -energy, 9.0, 2, 8, moves=5, apart=2.0)
    done = program(text, ranks=ranks)
    assert done.returncode == 0, done.stdout
    found = rows(done.stdout)
    assert found[-1, 3] > 0
    assert found[-1, 4] > 0
    lines = (tmp_path / "last").read_text().splitlines()[9:]
    positions = np.array([[float(word) for word in line.split()[2:]] for line in lines]).reshape(-1, 3)
    assert len(positions) == found[-1, 1]
    atoms = ase.Atoms(f"H{len(positions)}", positions, cell=[9.0] * 3, pbc=True)
    expected = with_calculator(atoms, SpinConvCalculator(model_file)).get_potential_energy() - len(atoms) * energy
    assert found[-1, 2] == pytest.approx(expected, abs=1e-9)


def test_widom_insertion_into_an_ideal_gas_costs_nothing(program: Any, model_file: Path) -> None:
    """The mean of exp(-E/kT) is 1; without energies from isolated atoms it overflows."""
    text = gas(f"pair_style spinconv {model_file}\npair_coeff * * H O", -reference_energy(model_file), 60.0, 2, 2)
    text = re.sub(r"fix gas all gcmc .*", "fix gas all widom 1 20 1 4711 300 full_energy", text).replace(
        "f_gas[4] f_gas[6]", "f_gas[1] f_gas[2]"
    )
    done = program(text)
    assert done.returncode == 0, done.stdout
    found = rows(done.stdout)
    # of 20 insertions a step one may come within 5 Å of an atom
    np.testing.assert_allclose(found[[1, 2, 4, 5], 3], 0, atol=2e-3)
    np.testing.assert_allclose(found[[1, 2, 4, 5], 4], 1, atol=0.05)
