"""`device opencl`: the kernels in LAMMPS, on one rank and on several that share the device, compute what the CPU computes."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from opencl import require_opencl
from structures import water_box

INPUT = """
units metal
read_data data.structure
pair_style spinconv {model} precision float64 device {device}
pair_coeff * * H O
neighbor 1.0 bin
timestep 0.0005
velocity all create 300 4928459 loop geom
fix nve all nve
compute stress all stress/atom NULL virial
compute centroid all centroid/stress/atom NULL virial
compute energy all pe/atom
thermo 1
thermo_style custom step pe etotal pxx pyy pzz pxy pxz pyz
thermo_modify format float %.17g
dump out all custom {steps} dump.out id fx fy fz x y z c_energy c_stress[*] c_centroid[*]
dump_modify out sort id format float %.17g
run {steps}
"""


@pytest.fixture(scope="session", autouse=True)
def opencl() -> None:
    require_opencl()


def run(program: Any, folder: Path, model: Path, device: str, ranks: int = 1, steps: int = 4) -> str:
    """What it prints."""
    atoms = water_box()
    ase.io.write(folder / "data.structure", atoms, format="lammps-data", specorder=["H", "O"], masses=True)
    done = program(INPUT.format(model=model, device=device, steps=steps), ranks=ranks, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def numbers(output: str, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies and pressures of every step, and of the atoms of the last: forces, positions and energy, and stresses."""
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if line.split()[:2] == ["Step", "PotEng"]) + 1
    of_atoms = np.array([line.split() for line in (folder / "dump.out").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]], float)
    return np.array([line.split() for line in lines[first : first + 5]], float), of_atoms[:, 1:8], of_atoms[:, 8:]


@pytest.mark.parametrize("ranks", [1, 2])
def test_dynamics_on_a_device_are_those_on_the_cpu(ranks: int, program: Any, tmp_path: Path, model_file: Path) -> None:
    truth = numbers(run(program, tmp_path, model_file, "cpu"), tmp_path)
    for found, expected in zip(numbers(run(program, tmp_path, model_file, "opencl", ranks), tmp_path), truth, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def test_the_log_says_what_computes(program: Any, tmp_path: Path, model_file: Path) -> None:
    assert "float64 on opencl:0, native opencl" in run(program, tmp_path, model_file, "opencl")
