"""The force-style matrix: what ASE found, in force_styles/*.yaml, LAMMPS finds before and after a few steps, and through a restart."""

from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
import yaml

from models import SHIPPED_MODEL
from spinconv.lammps_plugin.engine import box_of

FOLDER = Path(__file__).parent / "force_styles"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
pytestmark = pytest.mark.skipif(not (SHIPPED_MODEL.parents[1] / "silicon" / "model.pt").exists(), reason="the shipped models are not here")


def same(lmp: Any, atoms: ase.Atoms, expected: dict[str, Any], epsilon: float) -> None:
    forces = np.array(expected["forces"]) @ box_of(atoms).rotation.T
    assert lmp.energy == pytest.approx(expected["energy"], rel=epsilon)
    np.testing.assert_allclose(lmp.forces, forces, rtol=0, atol=epsilon * np.abs(forces).max())
    if "stress" in expected:
        rotation = box_of(atoms).rotation
        stress = rotation @ np.array(expected["stress"]) @ rotation.T
        virial = -stress[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]] * atoms.get_volume()
        np.testing.assert_allclose(lmp.virial(), virial, rtol=0, atol=epsilon * max(np.abs(virial).max(), 1.0))
    assert lmp.per_atom("atom_energy").sum() == pytest.approx(lmp.energy, rel=1e-12)
    if "stress" in expected:
        total = -lmp.per_atom("stress_atom").sum(axis=0) / lmp.engine.extract_global("nktv2p")
        np.testing.assert_allclose(total, lmp.virial(), rtol=0, atol=1e-12 * max(np.abs(total).max(), 1.0))


OUTPUT = (
    "compute virial all pressure NULL virial",
    "compute atom_energy all pe/atom",
    "compute stress_atom all stress/atom NULL virial",
    "thermo_style custom step pe c_virial[1]",
    "dump 1 all custom 1 /dev/null id c_atom_energy c_stress_atom[1]",
    "fix nve all nve",
)


@pytest.mark.parametrize("name", CASES)
def test_force_style(name: str, lmp: Any, tmp_path: Path) -> None:
    case = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    atoms = ase.Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"])
    told = case["lammps"]
    pair = [line.replace("${models}", str(SHIPPED_MODEL.parents[1])) for line in told["pair"]]
    elements = lmp.place(atoms, told["map"]).split()
    lmp(*(f"mass {n} {case['masses'][element]!r}" for n, element in enumerate(elements, 1)))
    lmp(*pair, *OUTPUT, f"timestep {told['timestep']!r}", "run 0 post no")
    same(lmp, atoms, case["init"], case["epsilon"])
    lmp(f"run {told['steps'] // 2} post no", f"write_restart {tmp_path / 'state'}", f"run {told['steps'] - told['steps'] // 2} post no")
    # the two programs' femtoseconds differ in the seventh digit, so positions after the steps do in the tenth
    same(lmp, atoms, case["run"], max(case["epsilon"], 1e-7))
    before = lmp.energy
    lmp("clear", f"read_restart {tmp_path / 'state'}", *pair, *OUTPUT)
    lmp(f"timestep {told['timestep']!r}", f"run {told['steps'] - told['steps'] // 2} post no")
    assert lmp.energy == pytest.approx(before, rel=1e-13)


def test_there_are_enough() -> None:
    assert len(CASES) >= 12
