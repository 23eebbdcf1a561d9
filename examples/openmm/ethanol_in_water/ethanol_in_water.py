"""Ethanol by SpinConv in TIP3P water by OpenMM's force field, at constant temperature and pressure (ML/MM, mechanical embedding)."""

import sys
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from openmm import LangevinMiddleIntegrator, MonteCarloBarostat, Platform
from openmm.app import PME, CheckpointReporter, ForceField, HBonds, Modeller, PDBFile, Simulation, StateDataReporter
from openmm.unit import atmosphere, femtosecond, kelvin, nanometer, picosecond
from openmmml import MLPotential

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent.parent.parent / "models"
ETHANOL_BONDS = {"C-C": (0, 1), "C-O": (1, 2), "O-H": (2, 3)}


def main(
    model: Annotated[Path, typer.Argument(help="A model of ethanol.")] = MODELS / "ethanol" / "model.pt",
    picoseconds: Annotated[float, typer.Option(help="At constant pressure.")] = 50.0,
    box: Annotated[float, typer.Option(help="Edge of the cube of water (nm).")] = 2.4,
    temperature: Annotated[float, typer.Option(help="K")] = 298.15,
    timestep: Annotated[float, typer.Option(help="fs")] = 1.0,
    platform: Annotated[str, typer.Option(help="Of OpenMM, for the water; the model runs on its own device.")] = "CPU",
    output: Annotated[Path, typer.Option(help="Folder for the trajectory, the figures and the plot.")] = Path("output/ethanol_in_water"),
) -> None:
    """Solvates ethanol, lets the model take it over, and plots density and temperature."""
    output.mkdir(parents=True, exist_ok=True)

    pdb = PDBFile(str(HERE.parent / "ethanol.pdb"))
    force_field = ForceField("amber14/tip3p.xml", str(HERE / "ethanol.xml"))
    modeller = Modeller(pdb.topology, pdb.positions)
    modeller.addSolvent(force_field, model="tip3p", boxSize=(box, box, box) * nanometer)
    ethanol = [atom.index for atom in modeller.topology.atoms() if atom.residue.name == "EOH"]

    # what happens within ethanol is the model's; ethanol-water and water-water are the force field's. Constraints of ethanol go.
    molecular_mechanics = force_field.createSystem(
        modeller.topology, nonbondedMethod=PME, nonbondedCutoff=0.9 * nanometer, constraints=HBonds
    )
    potential = MLPotential("spinconv", modelPath=model, threads=1)
    system = potential.createMixedSystem(modeller.topology, molecular_mechanics, ethanol)

    integrator = LangevinMiddleIntegrator(temperature * kelvin, 2.0 / picosecond, timestep * femtosecond)
    integrator.setRandomNumberSeed(1)
    simulation = Simulation(modeller.topology, system, integrator, Platform.getPlatformByName(platform))
    simulation.context.setPositions(modeller.positions)
    print(f"{simulation.topology.getNumResidues() - 1} waters, {len(ethanol)} atoms by {model}")
    simulation.minimizeEnergy(maxIterations=200)
    simulation.context.setVelocitiesToTemperature(temperature * kelvin, 1)

    barostat = MonteCarloBarostat(1 * atmosphere, temperature * kelvin, 25)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    simulation.context.reinitialize(preserveState=True)
    steps = max(100, round(picoseconds * 1000 / timestep))
    every = max(1, steps // 500)
    figures = {"time": True, "density": True, "temperature": True, "potentialEnergy": True}
    simulation.reporters += [
        StateDataReporter(str(output / "figures.csv"), every, step=True, **figures),
        StateDataReporter(sys.stdout, max(1, steps // 20), progress=True, remainingTime=True, speed=True, totalSteps=steps, **figures),
        CheckpointReporter(str(output / "checkpoint.chk"), max(1, steps // 10)),
    ]
    lengths = []
    for _ in range(20):
        simulation.step(steps // 20)
        positions = simulation.context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(nanometer)
        lengths.append([10 * np.linalg.norm(positions[ethanol[i]] - positions[ethanol[j]]) for i, j in ETHANOL_BONDS.values()])
    state = simulation.context.getState(positions=True, enforcePeriodicBox=True)
    with (output / "last.pdb").open("w") as file:
        simulation.topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
        PDBFile.writeFile(simulation.topology, state.getPositions(), file)
    report(output, dict(zip(ETHANOL_BONDS, np.mean(lengths, axis=0), strict=True)))


def report(output: Path, bonds: dict[str, float]) -> None:
    """Means of the second half of the run, and the plot."""
    columns = np.genfromtxt(output / "figures.csv", delimiter=",", names=True, deletechars="")
    time, temperature, density = columns["Time_(ps)"], columns["Temperature_(K)"], columns["Density_(g/mL)"]
    half = len(time) // 2
    print(f"second half: {temperature[half:].mean():.1f} K, {density[half:].mean():.3f} g/mL")
    print("ethanol: " + ", ".join(f"{name} {length:.3f} Å" for name, length in bonds.items()))
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6.4, 4.4), layout="constrained")
    axes[0].plot(time, temperature, linewidth=0.8)
    axes[0].set(ylabel="temperature (K)", title="ethanol (SpinConv) in TIP3P water")
    axes[1].plot(time, density, color="C1")
    axes[1].set(ylabel="density (g/mL)", xlabel="time (ps)")
    figure.savefig(output / "npt.png", dpi=150)
    print(f"plot: {output / 'npt.png'}")


if __name__ == "__main__":
    typer.run(main)
