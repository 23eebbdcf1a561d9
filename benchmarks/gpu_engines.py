"""Steps of LAMMPS and OpenMM by kernels on a device: parts of gpu.py."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ase
from nve import SYSTEMS, openmm_velocities, with_velocities  # beside this file

Rows = list[dict[str, Any]]


def water(n_side: int) -> ase.Atoms:
    """The equilibrated box of 192 atoms, so many times in each direction."""
    return SYSTEMS["water"].atoms().repeat(n_side)


def sizes(most_atoms: int) -> list[tuple[str, ase.Atoms]]:
    boxes = [(f"water x {n}^3", n) for n in (1, 2, 4, 8, 12, 17) if 192 * n**3 <= most_atoms]
    return [("ethanol", SYSTEMS["ethanol"].atoms()), *((name, water(n)) for name, n in boxes)]


LAMMPS_INPUT = """
units metal
atom_modify map array
read_data {data}
replicate {n} {n} {n}
pair_style spinconv {model} precision float32 device {device} evaluator native
pair_coeff * * H O
neighbor 1.0 bin
velocity all create 330 1
fix nve all nve
timestep 0.0005
thermo {steps}
run {steps}
run {steps}
"""


def lammps(device: str, deadline: float, most_atoms: int) -> Rows:
    rows: Rows = []
    system, lmp = SYSTEMS["water"], shutil.which("lmp", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    mpirun = shutil.which("mpirun", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if lmp is None or mpirun is None:
        raise ValueError("`lmp` and `mpirun` must be on the PATH or beside this Python")
    steps = 50 if device.startswith("cuda") else 3
    for n in (n for n in (1, 2, 4, 8, 12) if 192 * n**3 <= most_atoms):
        for ranks in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "in.water").write_text(
                    LAMMPS_INPUT.format(data=system.data, model=system.model, device=device, steps=steps, n=n)
                )
                start = [] if ranks == 1 else [mpirun, "-n", str(ranks)]
                said = subprocess.run(
                    [*start, lmp, "-nocite", "-in", "in.water"], cwd=folder, capture_output=True, text=True, check=False,
                    timeout=deadline - time.time(), env={**os.environ, "OMP_NUM_THREADS": "1"},
                )  # fmt: skip
            seconds = [float(found) for found in re.findall(r"Loop time of (\S+)", said.stdout)]
            if len(seconds) < 2:
                raise ValueError(f"LAMMPS: {(said.stdout + said.stderr)[-400:]}")
            ms, n_atoms = 1e3 * seconds[1] / steps, 192 * n**3
            what = f"water x {n}^3, {ranks} rank{'s' * (ranks > 1)}"
            rows.append({"what": what, "atoms": n_atoms, "ms": ms, "µs an atom": 1e3 * ms / n_atoms})
    return rows


def openmm(device: str, deadline: float, most_atoms: int) -> Rows:
    """On the platform CUDA where OpenMM has it, else OpenCL, in mixed precision around a model of float32."""
    import openmm as mm

    from spinconv.openmm_plugin import evaluator_of, force
    from spinconv.openmm_plugin.engine import system_of

    there = [mm.Platform.getPlatform(n).getName() for n in range(mm.Platform.getNumPlatforms())]
    wanted = [name for name in ("CUDA", "OpenCL") if name in there and (name == "OpenCL" or device.startswith("cuda"))]
    if not wanted:
        raise ValueError(f"OpenMM has neither the platform CUDA nor OpenCL here, only {', '.join(there)}")
    rows: Rows = []
    for name, atoms in sizes(most_atoms):
        if time.time() > deadline - 20:
            break
        model = SYSTEMS["ethanol" if name == "ethanol" else "water"].model
        spinconv = force(model, atoms.numbers, periodic=bool(atoms.pbc.all()), precision="float32", device="context")
        integrator = mm.VerletIntegrator(0.0005)
        context = mm.Context(system_of(atoms, spinconv), integrator, mm.Platform.getPlatformByName(wanted[0]), {"Precision": "mixed"})
        context.setPositions(atoms.positions / 10)
        context.setVelocities(openmm_velocities(with_velocities(atoms, 330.0)))
        integrator.step(2)
        context.getState(energy=True)
        steps, began = 0, time.perf_counter()
        while steps < 3 or (steps < 200 and time.perf_counter() - began < 3.0):
            integrator.step(1)
            steps += 1
        context.getState(energy=True)  # when all that was launched is done
        ms = 1e3 * (time.perf_counter() - began) / steps
        rows.append({"what": f"{name}, {evaluator_of(context)}", "atoms": len(atoms), "ms": ms, "µs an atom": 1e3 * ms / len(atoms)})
    return rows
