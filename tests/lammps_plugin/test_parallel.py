"""Any number of MPI ranks, however LAMMPS spreads the atoms over them, computes what one does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
import pytest
from ase.data import chemical_symbols
from packed import lone_atom, repacked
from structures import ethanol, slab_with_adsorbate, tiny_cell, triclinic, water_box

from models import SHIPPED_MODEL, random_model
from spinconv.export import export_model
from spinconv.export.container import read_container
from spinconv.lammps_plugin.engine import box_of

SAME = 1e-11  # relative to the largest: sums of some thousand numbers, each rounded at 1e-16, in another order
TEN_DIGITS = 5e-11  # relative

INPUT = """
units metal
boundary {boundary}
atom_modify map {map}
{before}
read_data data.structure
pair_style spinconv {model} precision float64
pair_coeff * * {elements}
neighbor 1.0 bin
neigh_modify delay 0 every 4 check no
timestep 0.0005
velocity all create 300 4928459 loop geom
fix nve all nve
compute stress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute energy all pe/atom
thermo 1
thermo_style custom step pe etotal pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
dump out all custom {every} dump.out id fx fy fz x y z c_energy c_stress[*] c_centroid[*]
dump_modify out sort id format float %.17g
{how}
run {steps}
"""


class Run(NamedTuple):
    thermo: np.ndarray
    """step pe etotal pxx pyy pzz pxy pxz pyz, [n_steps + 1, 9]."""
    atoms: np.ndarray
    """Of the last step in the order of the structure: forces, positions, energy, stress, centroid stress, [n_atoms, 22]."""


def write_data(atoms: ase.Atoms, path: Path, ids: np.ndarray, shift: float = 0.0) -> None:
    """The data file of a structure; `shift` moves box and atoms."""
    box = box_of(atoms)
    numbers = sorted(set(atoms.numbers.tolist()))
    low = box.origin + shift
    high = low + np.diag(box.edges)
    lines = ["structure", "", f"{len(atoms)} atoms", f"{len(numbers)} atom types", ""]
    lines += [f"{a!r} {b!r} {axis}lo {axis}hi" for axis, a, b in zip("xyz", low.tolist(), high.tolist(), strict=True)]
    xy, xz, yz = box.edges[1, 0], box.edges[2, 0], box.edges[2, 1]
    lines += [f"{float(xy)!r} {float(xz)!r} {float(yz)!r} xy xz yz", "", "Masses", ""]
    lines += [f"{n} {mass!r}" for n, mass in enumerate((ase.data.atomic_masses[numbers]).tolist(), 1)]
    lines += ["", "Atoms # atomic", ""]
    inside = (atoms.positions @ box.rotation.T + shift).tolist()
    lines += [f"{i} {numbers.index(z) + 1} {x!r} {y!r} {z_!r}" for i, z, (x, y, z_) in zip(ids, atoms.numbers, inside, strict=True)]
    path.write_text("\n".join(lines) + "\n")


Simulate = Callable[..., Run]


@pytest.fixture
def simulate(program: Any, tmp_path: Path) -> Simulate:
    """Some NVE steps of a structure on a number of ranks."""

    def run(
        atoms: ase.Atoms,
        model: Path,
        ranks: int = 1,
        before: str = "",
        how: str = "",
        steps: int = 4,
        atom_map: str = "array",
        ids: np.ndarray | None = None,
        shift: float = 0.0,
    ) -> Run:
        ids = np.arange(1, len(atoms) + 1) if ids is None else ids
        write_data(atoms, tmp_path / "data.structure", ids, shift)
        elements = " ".join(chemical_symbols[z] for z in sorted(set(atoms.numbers.tolist())))
        boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
        done = program(
            INPUT.format(
                boundary=boundary, map=atom_map, model=model, elements=elements, before=before, how=how, steps=steps, every=max(steps, 1)
            ),
            ranks=ranks,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = [line.split() for line in done.stdout.splitlines()]
        thermo = np.array([row for row in rows if len(row) == 9 and row[0].isdigit()], dtype=float)
        assert len(thermo) == steps + 1
        return Run(
            thermo, np.loadtxt(tmp_path / "dump.out", skiprows=9 if steps == 0 else 9 + len(atoms) + 9)[np.argsort(np.argsort(ids)), 1:]
        )

    return run


def assert_same(one: Run, other: Run) -> None:
    for columns in (slice(0, 3), slice(6, 7), slice(7, 13), slice(13, 22)):  # forces, energies, stresses, centroid stresses
        largest = np.abs(other.atoms[:, columns]).max()
        assert largest > 1e-3, "weights so small that anything agrees"
        np.testing.assert_allclose(one.atoms[:, columns], other.atoms[:, columns], rtol=0, atol=SAME * largest)
    np.testing.assert_allclose(one.thermo[:, 1:3], other.thermo[:, 1:3], rtol=SAME)
    np.testing.assert_allclose(one.thermo[:, 3:], other.thermo[:, 3:], rtol=0, atol=SAME * np.abs(other.thermo[:, 3:]).max())


@pytest.fixture(scope="module")
def hard_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hard_model(tmp_path_factory.mktemp("model"), weights_times=1.6)


def write_hard_model(folder: Path, weights_times: float) -> Path:
    """A model whose edges count in full up to the cutoff: a hop that is missing cannot hide."""
    write_gentle_model(folder / "gentle.pt", weights_times=weights_times)
    pairs = read_container(folder / "gentle.pt").weights["constants.pairs"].copy()
    pairs[:, -1] = 0.0  # 1 / cutoff of the envelope
    return repacked(folder / "gentle.pt", folder / "hard.pt", weights={"constants.pairs": pairs}, probe=lone_atom(folder / "gentle.pt"))


def write_gentle_model(path: Path, seed: int = 0, weights_times: float = 1.0) -> None:
    """Forces of some 0.05 eV/Å, where no weights are multiplied: water that starts at 300 K stays together."""
    fields = {"channels": 16, "n_blocks": 2}
    export_model(random_model(seed=seed, weights_times=weights_times, **fields), path, dtype="float64")


TILED = "comm_style tiled\nbalance 1.0 rcb"
SPREADS = {
    "2 ranks": {"ranks": 2},
    "4 ranks": {"ranks": 4},
    "3 ranks along z": {"ranks": 3, "before": "processors 1 1 3"},
    "4 ranks tiled": {"ranks": 4, "how": TILED},
    "2 ranks rebalanced": {"ranks": 2, "how": "comm_style tiled\nfix balance all balance 2 1.0 rcb"},
    "no map": {"ranks": 2, "atom_map": "yes"},
    "hash map": {"ranks": 2, "atom_map": "hash"},
}


@pytest.mark.parametrize("how", SPREADS.values(), ids=SPREADS)
def test_any_spread_is_the_same(how: dict[str, Any], simulate: Simulate, hard_model: Path) -> None:
    atoms = water_box(3)
    assert_same(simulate(atoms, hard_model, **how), simulate(atoms, hard_model))


@pytest.mark.parametrize("structure", [triclinic, tiny_cell, slab_with_adsorbate, ethanol])
def test_small_and_skewed_and_empty(structure: Callable[[], ase.Atoms], simulate: Simulate, hard_model: Path) -> None:
    """Subdomains thinner than the cutoff, and ranks without atoms."""
    atoms = structure()
    atoms.rattle(0.05, seed=1)
    if structure is tiny_cell:
        atoms = atoms.repeat((3, 1, 1))
        atoms.rattle(0.05, seed=1)
    assert_same(simulate(atoms, hard_model, ranks=4), simulate(atoms, hard_model))


def test_a_rank_far_from_all_atoms(simulate: Simulate, hard_model: Path) -> None:
    atoms = ethanol()
    atoms.pbc = True
    atoms.set_cell([60, 20, 20])
    atoms.positions += [4, 10, 10]
    assert_same(simulate(atoms, hard_model, ranks=4), simulate(atoms, hard_model))


def test_boxes_elsewhere_and_other_ids(simulate: Simulate, hard_model: Path) -> None:
    atoms = water_box(2)
    ids = np.random.default_rng(0).permutation(len(atoms)) * 7 + 3
    one = simulate(atoms, hard_model)
    here, moved = simulate(atoms, hard_model, steps=0), simulate(atoms, hard_model, ranks=2, shift=-137.25, steps=0)
    lost = 137.25 / 6.2  # by positions: they are larger and have as many digits
    np.testing.assert_allclose(moved.atoms[:, :3], here.atoms[:, :3], rtol=0, atol=SAME * lost * np.abs(here.atoms[:, :3]).max())
    # velocities are drawn by position: IDs do not change them
    assert_same(simulate(atoms, hard_model, ranks=2, ids=ids), simulate(atoms, hard_model, ids=ids))
    np.testing.assert_allclose(simulate(atoms, hard_model, ids=ids).atoms[:, :3], one.atoms[:, :3], rtol=0, atol=SAME)


@pytest.mark.slow
def test_ten_digits_over_200_steps(simulate: Simulate) -> None:
    path = SHIPPED_MODEL.parent.parent / "water" / "model.pt"
    if not path.exists():
        pytest.skip("the shipped model is not here")
    atoms = water_box(3)
    one = simulate(atoms, path, steps=200)
    for how in ({"ranks": 2}, {"ranks": 4, "how": TILED}):
        other = simulate(atoms, path, steps=200, **how)
        np.testing.assert_allclose(other.thermo[:, 1:3], one.thermo[:, 1:3], rtol=TEN_DIGITS)
        np.testing.assert_allclose(other.thermo[:, 3:], one.thermo[:, 3:], rtol=0, atol=TEN_DIGITS * np.abs(one.thermo[:, 3:]).max())


def test_chunks_and_threads_are_the_same(simulate: Simulate, hard_model: Path) -> None:
    atoms = water_box(3)
    one = simulate(atoms, hard_model)
    for words in ("chunk 200", "chunk 1000 threads 2"):
        for ranks in (1, 2):
            assert_same(simulate(atoms, f"{hard_model} {words}", ranks=ranks), one)  # type: ignore[arg-type]


def test_partitions_have_models_of_their_own(
    program: Any, model_file: Path, other_model_file: Path, tmp_path: Path, simulate: Simulate
) -> None:
    expected = [simulate(water_box(2), path, steps=0).thermo[0, 1] for path in (model_file, other_model_file)]
    text = f"""
    variable model world {model_file} {other_model_file}
    variable n world 1 2
    units metal
    read_data data.structure
    pair_style spinconv ${{model}}
    pair_coeff * * H O
    run 0
    variable energy equal pe
    print "${{energy}}" file energy.$n
    """
    done = program(text, "-partition", "2x2", ranks=4)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [float((tmp_path / f"energy.{n}").read_text()) for n in (1, 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_committee_on_two_ranks(simulate: Simulate, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_gentle_model(tmp_path / f"{seed}.pt", seed)
    files = []
    for ranks in (1, 2):
        simulate(water_box(2), "0.pt 1.pt out_freq 2 out_file md.devi", ranks=ranks)  # type: ignore[arg-type]
        files.append(np.loadtxt(tmp_path / "md.devi"))
    assert files[0].shape == (3, 7)
    np.testing.assert_allclose(files[1], files[0], rtol=1e-6)  # as many digits as the file has


def test_halt_ends_all_ranks(program: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_gentle_model(tmp_path / f"{seed}.pt", seed)
    write_data(water_box(2), tmp_path / "data.structure", np.arange(1, 25))
    style = "0.pt 1.pt out_freq 100 out_file md.devi halt 1e-9"
    text = f"units metal\nread_data data.structure\npair_style spinconv {style}\npair_coeff * * H O\nfix 1 all nve\nrun 50\n"
    text += "write_data end.data"
    done = program(text, ranks=2)
    assert done.returncode == 0, done.stdout
    assert "the largest force deviation is" in done.stdout
    assert "above `halt` 1e-09: the run ends" in done.stdout
    assert len((tmp_path / "md.devi").read_text().splitlines()) < 5
    assert (tmp_path / "end.data").exists()


HYBRIDS = {
    "overlay with lj/cut": [
        "pair_style hybrid/overlay lj/cut 4.0 spinconv {0}",
        "pair_coeff * * lj/cut 0.01 1.5",
        "pair_coeff * * spinconv H O",
    ],
    "two models": ["pair_style hybrid/overlay spinconv {0} spinconv {1}", "pair_coeff * * spinconv 1 H O", "pair_coeff * * spinconv 2 H O"],
    "a type that is no part": [
        "pair_style hybrid/overlay lj/cut 4.0 spinconv {0}",
        "pair_coeff * * lj/cut 0.01 1.5",
        "pair_coeff * * spinconv NULL O",
    ],
    "scaled": [
        "pair_style hybrid/scaled 0.3 spinconv {0} 0.7 spinconv {1}",
        "pair_coeff * * spinconv 1 H O",
        "pair_coeff * * spinconv 2 H O",
    ],
}


@pytest.mark.parametrize("lines", HYBRIDS.values(), ids=HYBRIDS)
def test_hybrid_styles_on_ranks(lines: list[str], program: Any, hard_model: Path, tmp_path: Path) -> None:
    write_gentle_model(tmp_path / "gentle.pt")
    atoms = water_box(2)
    write_data(atoms, tmp_path / "data.structure", np.arange(1, len(atoms) + 1))
    style = "\n".join(line.format(hard_model, "gentle.pt") for line in lines)
    text = f"units metal\nread_data data.structure\n{style}\nfix 1 all nve\ntimestep 0.0001\nthermo_modify format float %.15g\n"
    text += "dump 1 all custom 3 dump.out id fx fy fz\ndump_modify 1 sort id format float %.17g\nrun 3"
    found = []
    for ranks in (1, 2, 4):
        done = program(text, ranks=ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(np.loadtxt(tmp_path / "dump.out", skiprows=9 + len(atoms) + 9)[:, 1:])
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=0, atol=SAME * np.abs(found[0]).max())
    assert np.abs(found[0]).max() > 1e-3
