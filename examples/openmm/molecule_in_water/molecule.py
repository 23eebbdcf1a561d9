"""One molecule from a structure file, and how water feels it: charges and Lennard-Jones, made into a force field of OpenMM.

What holds the molecule together is the model's business: there are no bond, angle or torsion terms here.
"""

from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.units import Bohr
from numpy.typing import NDArray
from openmm.app import Element, Topology
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

RESIDUE = "MOL"
BONDED, HELD_TOGETHER = 1.3, 1.5
"""Two atoms are bonded below 1.3 times the sum of their covalent radii (O-H 1.26 Å, C-C 1.98 Å); what goes from 1.5 times on has left: a
proton half way from one atom to the next has not."""

UFF = {
    "H": (2.886, 0.044), "B": (4.083, 0.180), "C": (3.851, 0.105), "N": (3.660, 0.069), "O": (3.500, 0.060), "F": (3.364, 0.050),
    "Si": (4.295, 0.402), "P": (4.147, 0.305), "S": (4.035, 0.274), "Cl": (3.947, 0.227), "Br": (4.189, 0.251), "I": (4.500, 0.339),
}  # fmt: skip
"""Distance (Å) and depth (kcal/mol) of the Lennard-Jones minimum: x_i and D_i of A. K. Rappé et al., JACS 114, 10024 (1992), table 1."""
NM_PER_ANGSTROM, KJ_PER_KCAL = 0.1, 4.184


class Molecule(NamedTuple):
    atoms: ase.Atoms
    """Without a box, in the order of the file."""
    names: list[str]
    """C1, C2, O1, ...: one of its own for every atom."""
    bonds: list[tuple[int, int]]
    """Pairs of atoms, the smaller index first."""


def read_molecule(path: Path) -> Molecule:
    """The molecule in an xyz or PDB file, or what else ASE reads; its bonds are found by distance.

    Raises ValueError where the atoms are not one molecule.
    """
    structure = ase.io.read(path)
    atoms = ase.Atoms(structure.symbols, structure.positions)
    n_pieces = count_pieces(atoms, within=BONDED)
    if n_pieces != 1:
        raise ValueError(f"`{path}` must hold one molecule, got {n_pieces} pieces farther apart than {BONDED} times the covalent radii")
    symbols = list(atoms.symbols)
    names = [f"{symbol}{symbols[: index + 1].count(symbol)}" for index, symbol in enumerate(symbols)]
    return Molecule(atoms, names, find_bonds(atoms))


def find_bonds(atoms: ase.Atoms, within: float = BONDED) -> list[tuple[int, int]]:
    """Pairs closer than `within` times the sum of their covalent radii."""
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=within))
    return sorted((int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j)


def count_pieces(atoms: ase.Atoms, within: float = HELD_TOGETHER) -> int:
    """Into how many pieces the atoms fall when such pairs hold together; 1 for a whole molecule."""
    first, second = np.array(find_bonds(atoms, within), dtype=int).reshape(-1, 2).T
    bonded = coo_array((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
    return int(connected_components(bonded, directed=False)[0])


def topology(molecule: Molecule) -> Topology:
    """The molecule as one residue of OpenMM."""
    made = Topology()
    residue = made.addResidue(RESIDUE, made.addChain())
    elements = [Element.getByAtomicNumber(number) for number in molecule.atoms.numbers]
    atoms = [made.addAtom(name, element, residue) for name, element in zip(molecule.names, elements, strict=True)]
    for i, j in molecule.bonds:
        made.addBond(atoms[i], atoms[j])
    return made


def read_parameters(molecule: Molecule, source: str) -> NDArray[np.float64]:
    """Charge (e), sigma (nm) and epsilon (kJ/mol) of every atom; Lennard-Jones is UFF's where the source has none.

    The source is `zero`, `tblite` or a file with a line per atom: its charge, or all three.
    Raises ValueError where numbers are missing, or the charges do not sum to a whole number.
    """
    if source == "zero":
        table = np.zeros((len(molecule.atoms), 1))
    elif source == "tblite":
        table = mulliken_charges(molecule.atoms)[:, None]
    else:
        table = np.loadtxt(source, ndmin=2)
    if table.shape not in ((len(molecule.atoms), 1), (len(molecule.atoms), 3)):
        raise ValueError(f"`{source}` must have a line with 1 or 3 numbers for each of {len(molecule.atoms)} atoms, got {table.shape}")
    total = table[:, 0].sum()
    if abs(total - round(total)) > 0.01:
        raise ValueError(f"the charges of `{source}` must sum to a whole number, got {total:.4f} e")
    return table if table.shape[1] == 3 else np.hstack([table, lennard_jones(molecule)])


def mulliken_charges(atoms: ase.Atoms) -> NDArray[np.float64]:
    """Mulliken charges (e) by GFN1-xTB of the neutral molecule in vacuum, as it stands in the file."""
    try:
        from tblite.interface import Calculator
    except ImportError as error:
        raise ValueError("charges by `tblite` need that package: pip install tblite") from error
    calculator = Calculator("GFN1-xTB", atoms.numbers, atoms.positions / Bohr)
    calculator.set("verbosity", 0)
    return np.asarray(calculator.singlepoint().get("charges"))


def lennard_jones(molecule: Molecule) -> NDArray[np.float64]:
    """Sigma (nm) and epsilon (kJ/mol) by element from UFF; none for H on N or O, which could not make hydrogen bonds with it.

    TIP3P and OPLS-AA leave it out as well.
    """
    symbols = list(molecule.atoms.symbols)
    unknown = sorted(set(symbols) - set(UFF))
    if unknown:
        raise ValueError(
            f"no Lennard-Jones parameters of {', '.join(unknown)} are here: give them in the file of charges, 3 numbers a line"
        )
    distance, depth = np.array([UFF[symbol] for symbol in symbols]).T
    for pair in molecule.bonds:
        for hydrogen, other in (pair, pair[::-1]):
            if symbols[hydrogen] == "H" and symbols[other] in ("N", "O"):
                depth[hydrogen] = 0.0
    return np.column_stack([distance * NM_PER_ANGSTROM / 2 ** (1 / 6), depth * KJ_PER_KCAL])


def force_field_xml(molecule: Molecule, parameters: NDArray[np.float64]) -> str:
    """The molecule for openmm.app.ForceField: one type an atom, to stand beside amber14/tip3p.xml (same 1-4 scales)."""
    types, residue, nonbonded = [], [], []
    for name, atom, (charge, sigma, epsilon) in zip(molecule.names, molecule.atoms, parameters.tolist(), strict=True):
        kind = f"{RESIDUE}-{name}"
        types.append(f'<Type name="{kind}" class="{kind}" element="{atom.symbol}" mass="{atom.mass}"/>')
        residue.append(f'<Atom name="{name}" type="{kind}" charge="{charge}"/>')
        nonbonded.append(f'<Atom type="{kind}" sigma="{sigma}" epsilon="{epsilon}"/>')
    for i, j in molecule.bonds:
        residue.append(f'<Bond atomName1="{molecule.names[i]}" atomName2="{molecule.names[j]}"/>')
    lines = [
        "<ForceField>",
        *["<AtomTypes>", *types, "</AtomTypes>"],
        *[f'<Residues><Residue name="{RESIDUE}">', *residue, "</Residue></Residues>"],
        '<NonbondedForce coulomb14scale="0.8333333333333334" lj14scale="0.5"><UseAttributeFromResidue name="charge"/>',
        *[*nonbonded, "</NonbondedForce>"],
        "</ForceField>",
    ]
    return "\n".join(lines)
