"""A molecule by SpinConv in TIP3P water by OpenMM's force field, at constant temperature and pressure (ML/MM, mechanical embedding).

python molecule_in_water.py                                                                 # ethanol
python molecule_in_water.py model.pt --molecule molecule.xyz --charges charges.txt          # yours
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import numpy as np
import typer
from molecule import RESIDUE, Molecule, count_pieces, find_bonds, force_field_xml, read_molecule, read_parameters, topology
from numpy.typing import NDArray
from openmm import LangevinMiddleIntegrator, MonteCarloBarostat, OpenMMException, Platform
from openmm.app import PME, CheckpointReporter, ForceField, Modeller, PDBFile, Simulation, StateDataReporter
from openmm.unit import angstrom, atmosphere, femtosecond, kelvin, nanometer, picosecond
from openmmml import MLPotential

mpl.use("Agg")  # a file is all that is asked for
import matplotlib.pyplot as plt

from spinconv.export import read_model

HERE = Path(__file__).resolve().parent
ETHANOL = {
    "model": HERE.parents[2] / "models/ethanol/model.pt",
    "molecule": HERE.parent / "ethanol.pdb",
    "charges": str(HERE / "ethanol.txt"),
}
CUTOFF = 0.9  # nm, of the force field
NO_CHARGES = """\
WARNING: the molecule has no charges. Water feels its size and none of its polarity: it is hydrophobic as an alkane is, makes no hydrogen
bonds, and its solvation is wrong. Give `--charges FILE` or `--charges tblite`."""


def main(
    model: Annotated[Path | None, typer.Argument(help="A model of the molecule.", show_default="ethanol's")] = None,
    molecule: Annotated[
        Path | None, typer.Option(help="The molecule alone: xyz, PDB, or what else ASE reads.", show_default="ethanol")
    ] = None,
    charges: Annotated[
        str | None,
        typer.Option(
            help="A file with a line per atom: charge (e), or charge, sigma (nm), epsilon (kJ/mol). Or `tblite`: GFN1-xTB's. Or `zero`.",
            show_default="OPLS-AA's for ethanol, else zero",
        ),
    ] = None,
    picoseconds: Annotated[float, typer.Option(help="At constant pressure.")] = 50.0,
    box: Annotated[float, typer.Option(help="Edge of the cube of water (nm).")] = 2.4,
    temperature: Annotated[float, typer.Option(help="K")] = 298.15,
    timestep: Annotated[float, typer.Option(help="fs")] = 1.0,
    platform: Annotated[str, typer.Option(help="Of OpenMM, for the water; the model runs on its own device.")] = "CPU",
    output: Annotated[Path, typer.Option(help="Folder for the figures, the plot and the last frame.")] = Path("output/molecule_in_water"),
) -> None:
    """Solvates a molecule, lets the model take it over, and plots density and temperature."""
    if molecule is None:
        model, molecule, charges = model or ETHANOL["model"], ETHANOL["molecule"], charges or ETHANOL["charges"]
    elif model is None:
        raise typer.BadParameter("`--molecule` wants a model of that molecule before it")
    output.mkdir(parents=True, exist_ok=True)

    # how water feels the molecule
    try:
        Platform.getPlatformByName(platform)
        solute = read_molecule(molecule)
        if unknown := set(solute.atoms.symbols) - set(read_model(model).metadata["elements"]):
            raise ValueError(f"`{model}` must know the elements of the molecule, it does not know {', '.join(sorted(unknown))}")
        parameters = read_parameters(solute, charges or "zero")
    except (ValueError, OSError, OpenMMException) as error:
        raise typer.BadParameter(str(error)) from None
    widest = solute.atoms.get_all_distances().max() / 10 + CUTOFF
    if box < widest:
        raise typer.BadParameter(f"`--box` must be at least {widest:.2f} nm for this molecule, got {box}: it would meet its own image")
    if not parameters[:, 0].any():
        print(NO_CHARGES)
    (output / "molecule.xml").write_text(force_field_xml(solute, parameters))
    force_field = ForceField("amber14/tip3p.xml", str(output / "molecule.xml"))
    modeller = Modeller(topology(solute), solute.atoms.positions * angstrom)
    modeller.addSolvent(force_field, model="tip3p", boxSize=(box, box, box) * nanometer)  # and ions, if it has a charge
    ml_atoms = [atom.index for atom in modeller.topology.atoms() if atom.residue.name == RESIDUE]

    # what happens within the molecule is the model's; molecule-water and water-water are the force field's
    molecular_mechanics = force_field.createSystem(modeller.topology, nonbondedMethod=PME, nonbondedCutoff=CUTOFF * nanometer)
    potential = MLPotential("spinconv", modelPath=model, threads=1)
    system = potential.createMixedSystem(modeller.topology, molecular_mechanics, ml_atoms)

    integrator = LangevinMiddleIntegrator(temperature * kelvin, 2.0 / picosecond, timestep * femtosecond)
    integrator.setRandomNumberSeed(1)
    simulation = Simulation(modeller.topology, system, integrator, Platform.getPlatformByName(platform))
    simulation.context.setPositions(modeller.positions)
    waters = sum(residue.name == "HOH" for residue in simulation.topology.residues())
    print(f"{waters} waters, {len(ml_atoms)} atoms by {model}")
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
    frames = []
    for _ in range(steps // every):
        simulation.step(every)
        positions = simulation.context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(angstrom)
        frames.append(positions[ml_atoms])
    state = simulation.context.getState(positions=True, enforcePeriodicBox=True)
    with (output / "last.pdb").open("w") as file:
        simulation.topology.setPeriodicBoxVectors(state.getPeriodicBoxVectors())
        PDBFile.writeFile(simulation.topology, state.getPositions(), file)
    report_molecule(solute, frames)
    report_water(output, molecule.stem)


def report_molecule(solute: Molecule, frames: list[NDArray[np.float64]]) -> None:
    """Lengths of the bonds at the start and in the run, whether the molecule is whole, and which bonds came and went."""
    print("bond        start    mean  longest (Å)")
    for i, j in solute.bonds:
        lengths = [np.linalg.norm(frame[i] - frame[j]) for frame in frames]
        name = f"{solute.names[i]}-{solute.names[j]}"
        print(f"{name:9} {solute.atoms.get_distance(i, j):7.3f} {np.mean(lengths):7.3f} {np.max(lengths):7.3f}")

    whole, changes, atoms = 0, Counter[str](), solute.atoms.copy()
    for frame in frames:
        atoms.positions = frame
        whole += count_pieces(atoms) == 1
        bonds = set(find_bonds(atoms))
        changes.update(f"{solute.names[i]}-{solute.names[j]} was open" for i, j in set(solute.bonds) - bonds)
        changes.update(f"{solute.names[i]}-{solute.names[j]} was closed" for i, j in bonds - set(solute.bonds))
    print(f"the molecule {'stayed whole' if whole == len(frames) else 'BROKE'}: one piece in {whole} of {len(frames)} frames")
    for change, count in changes.items():
        print(f"  {change} in {count}")


def report_water(output: Path, name: str) -> None:
    """Means of the second half of the run, and the plot."""
    columns = np.genfromtxt(output / "figures.csv", delimiter=",", names=True, deletechars="")
    time, temperature, density = columns["Time_(ps)"], columns["Temperature_(K)"], columns["Density_(g/mL)"]
    half = len(time) // 2
    print(f"second half: {temperature[half:].mean():.1f} K, {density[half:].mean():.3f} g/mL")
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6.4, 4.4), layout="constrained")
    axes[0].plot(time, temperature, linewidth=0.8)
    axes[0].set(ylabel="temperature (K)", title=f"{name} (SpinConv) in TIP3P water")
    axes[1].plot(time, density, color="C1")
    axes[1].set(ylabel="density (g/mL)", xlabel="time (ps)")
    figure.savefig(output / "npt.png", dpi=150)
    print(f"plot: {output / 'npt.png'}")


if __name__ == "__main__":
    typer.run(main)
