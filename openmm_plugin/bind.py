"""The command `spinconv bind`: a model file for one system, to be loaded by OpenMM's TorchForce."""

import re
import warnings
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape

from spinconv.export.console import console, errors_in_words
from spinconv.potential.words import in_one_line
from spinconv.potential.xyz import check_counts


class Particles(NamedTuple):
    """What a structure file says of a system."""

    numbers: list[int]
    """Atomic numbers; 0 for a particle that is no element, as a virtual site."""
    residues: list[str]
    """Name of each particle's residue, empty where the file has none."""
    periodic: bool


def bind(
    model: Annotated[Path, typer.Argument(help="A model file written by `spinconv export`.", show_default=False)],
    structure: Annotated[
        Path, typer.Argument(help="The system, particles in OpenMM's order: PDB, mmCIF, or what ASE reads.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("system.pt"),
    atoms: Annotated[
        str, typer.Option(help="Only these: indices from 0 as `0-8,15`, or residues as `ETH,LIG` (default: all).", show_default=False)
    ] = "",
    periodic: Annotated[
        bool | None, typer.Option("--periodic/--free", help="Whether there will be a box (default: as the structure).", show_default=False)
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64 (default: the model's own).", show_default=False)] = None,
    outputs_forces: Annotated[bool, typer.Option("--forces", help="For TorchForce.setOutputsForces(True).")] = False,
) -> None:
    """Write a file for OpenMM's TorchForce: the model, and the atoms it is to act on."""
    from spinconv.export.bind import bind_model

    with errors_in_words():
        particles = read_particles(structure)
        chosen = select(atoms, particles)
        has_box = particles.periodic if periodic is None else periodic
        numbers = particles.numbers if chosen is None else [particles.numbers[index] for index in chosen]
        bind_model(
            model,
            output,
            numbers,
            particles=chosen,
            n_particles=len(particles.numbers),
            periodic=has_box,
            dtype=dtype,
            outputs_forces=outputs_forces,
        )
    what = f"{len(numbers)} of {len(particles.numbers)} particles" if chosen is not None else f"{len(numbers)} atoms"
    lines = [f"force = TorchForce({str(output)!r})"]
    if has_box:
        lines.append("force.setUsesPeriodicBoundaryConditions(True)")
    if outputs_forces:
        lines.append("force.setOutputsForces(True)")
    console.print(f"{escape(str(output))}: written for {what}, {'in a periodic box' if has_box else 'without a box'}", highlight=False)
    console.print(escape("\n".join("    " + line for line in lines)), highlight=False)


def read_particles(path: Path) -> Particles:
    """Particles of a structure file in its order; PDB and mmCIF are read by OpenMM where it is installed, as the simulation will."""
    if not path.is_file():
        raise FileNotFoundError(f"`{path}`: there is no such structure file")
    if is_topology(path):
        try:
            import openmm.app
        except ImportError:
            pass
        else:
            return _read_with_openmm(path, openmm.app)
    return _read_with_ase(path)


def is_topology(path: Path) -> bool:
    """Whether it is a PDB or mmCIF file; a .cif may also be of a crystal, which OpenMM does not read."""
    suffix = path.suffix.lower()
    return suffix in (".pdb", ".pdbx", ".mmcif") or (suffix == ".cif" and "_atom_site." in path.read_text(errors="replace"))


def select(text: str, particles: Particles) -> list[int] | None:
    """Indices of the particles that `--atoms` names, ascending; None for all.

    >>> select("0-2,5", Particles([1] * 6, [""] * 6, False))
    [0, 1, 2, 5]
    >>> select("ETH", Particles([8, 6, 6], ["HOH", "ETH", "ETH"], False))
    [1, 2]
    """
    if not text:
        return None
    chosen: set[int] = set()
    n = len(particles.numbers)
    for part in text.replace(" ", "").split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if span is not None:
            first, last = int(span[1]), int(span[2] or span[1])
            if not first <= last < n:
                raise ValueError(f"`--atoms` must name particles from 0 to {n - 1}, got {part}")
            chosen.update(range(first, last + 1))
            continue
        of_residue = [index for index, name in enumerate(particles.residues) if name == part]
        if not of_residue:
            names = sorted(set(particles.residues) - {""})
            raise ValueError(
                f"`--atoms` must be indices as 0-8,15 or names of residues ({', '.join(names) or 'the structure has none'}), got {part!r}"
            )
        chosen.update(of_residue)
    return sorted(chosen)


def _read_with_openmm(path: Path, app: "openmm.app") -> Particles:  # type: ignore[name-defined]  # noqa: F821
    from spinconv.openmm_plugin.forces import has_box

    with warnings.catch_warnings():
        # OpenMM keeps the first of two atoms of one name in a residue and leaves the others out
        warnings.filterwarnings("error", message=".*duplicate atom")
        try:
            with path.open() as text:
                file = (app.PDBFile if path.suffix.lower() == ".pdb" else app.PDBxFile)(text)
        except Exception as error:  # OpenMM's readers raise anything
            reason = in_one_line(error).replace("WARNING: ", "")
            raise ValueError(f"`{path}` must be a PDB or mmCIF file; OpenMM says: {reason}") from error
    atoms = list(file.topology.atoms())
    return Particles(
        [0 if atom.element is None else atom.element.atomic_number for atom in atoms],
        [atom.residue.name for atom in atoms],
        has_box(file.topology),
    )


def _read_with_ase(path: Path) -> Particles:
    import ase
    import ase.io

    try:
        check_counts(path)
        atoms = ase.io.read(str(path), -1)
    except Exception as error:  # ASE's readers raise anything
        raise ValueError(f"`{path}` must be a structure in a format of ASE, which says: {in_one_line(error)}") from error
    assert isinstance(atoms, ase.Atoms)  # one frame was asked for
    if atoms.pbc.any() and not atoms.pbc.all():
        raise ValueError(f"`{path}` must be periodic in three directions or in none for OpenMM, got pbc {atoms.pbc.tolist()}")
    residues = atoms.arrays.get("residuenames")
    return Particles(
        atoms.numbers.tolist(),
        [""] * len(atoms) if residues is None else [str(name).strip() for name in residues],
        bool(atoms.pbc.all()),
    )
