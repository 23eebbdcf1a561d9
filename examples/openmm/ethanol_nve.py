"""Ethanol at constant energy in OpenMM: relax it, warm it to 300 K, then watch the total energy for a picosecond.

python ethanol_nve.py [MODEL] [PICOSECONDS]
"""

import sys
from pathlib import Path

import numpy as np
from openmm import Platform, System, VerletIntegrator
from openmm.app import PDBFile, Simulation
from openmm.unit import femtoseconds, kelvin, kilojoule_per_mole

from spinconv import example_model
from spinconv.openmm_plugin import force

here = Path(__file__).resolve().parent
model = sys.argv[1] if len(sys.argv) > 1 else example_model("ethanol")
picoseconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0

pdb = PDBFile(str(here / "ethanol.pdb"))
system = System()
for atom in pdb.topology.atoms():
    system.addParticle(atom.element.mass)
system.addForce(force(model, pdb.topology, precision="float64"))

simulation = Simulation(pdb.topology, system, VerletIntegrator(0.5 * femtoseconds), Platform.getPlatformByName("Reference"))
simulation.context.setPositions(pdb.positions)
simulation.minimizeEnergy()
simulation.context.setVelocitiesToTemperature(300 * kelvin, 1)

per_atom = 1000 / 96.4853321233100184 / system.getNumParticles()  # meV per atom in a kJ/mol
energies = []
print(f"{'time (ps)':>10} {'total energy - start (meV/atom)':>32}")
for step in range(0, round(picoseconds * 2000), 10):
    state = simulation.context.getState(energy=True)
    energies.append((state.getPotentialEnergy() + state.getKineticEnergy()).value_in_unit(kilojoule_per_mole) * per_atom)
    if step % 200 == 0:
        print(f"{step * 0.0005:10.3f} {energies[-1] - energies[0]:32.4f}")
    simulation.step(10)

times = np.arange(len(energies)) * 0.005
slope, level = np.polyfit(times, energies, 1)
print(f"drift {slope:.4f} meV/atom/ps, fluctuation {np.std(energies - level - slope * times):.4f} meV/atom rms")
