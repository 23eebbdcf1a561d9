"""spinconv pretrain-frames TRAIN: frames where those of an expensive method do not reach, labelled by a cheap one.

Three of four come out of short hot trajectories of the cheap method that begin at frames of TRAIN; the others are frames of TRAIN with all
atoms displaced at random, bonds squeezed or stretched, groups turned. The method, GFN2-xTB (Bannwarth, Ehlert, Grimme, J. Chem. Theory
Comput. 15, 1652 (2019)), is that of the package tblite: 2 ms a frame of ethanol on one thread.

What the expensive method says beyond the cheap one is small and smooth, and learned from few frames (Ramakrishnan, Dral, Rupp, von
Lilienfeld, J. Chem. Theory Comput. 11, 2087 (2015)). `spinconv delta-frames TRAIN` writes these differences; models trained on them are
the `--correction` that brings the frames made here close to the expensive method.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spinconv.potential.console import console, errors_in_words, progress_bar

if TYPE_CHECKING:
    import ase

    from spinconv.potential.training.frames import Frame

Train = Annotated[Path, typer.Argument(help="Frames of one molecule or of several.", show_default=False)]
Method = Annotated[Literal["GFN2-xTB", "GFN1-xTB"], typer.Option(help="The cheap method.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


def pretrain_frames(
    train: Train,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("pretrain.xyz"),
    n: Annotated[int, typer.Option("--frames", min=1, help="How many.")] = 14_000,
    method: Method = "GFN2-xTB",
    correction: Annotated[
        list[Path] | None, typer.Option(help="A best.ckpt trained on `spinconv delta-frames`, to be added; of several, their mean.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="Of the hottest trajectories, K; 0: none.")] = 1200.0,
    most_force: Annotated[float, typer.Option(min=0.0, help="Frames with a larger force component (eV/Å) are dropped.")] = 15.0,
    most_deviation: Annotated[
        float, typer.Option(min=0.0, help="So are those on which several corrections differ by more (rms, eV/Å).")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of frames and of what is done to them.")] = 0,
    force: Force = False,
) -> None:
    """Make frames of molecules to train on, hot, squeezed, stretched and bent, with energies and forces of GFN2-xTB."""
    with errors_in_words(), progress_bar() as advance:
        prepare(output, force)
        from spinconv.potential.training.tight_binding import TightBinding, made_frames

        began = time.perf_counter()
        made = counted(made_frames(TightBinding(method, most_force), read_molecules(train), n, temperature, seed), n, advance)
        seconds = time.perf_counter() - began
        kept = corrected(made, correction, most_deviation) if correction else made
        write_frames(output, kept)
        print_result(
            output,
            kept,
            f"by {method}{' and a correction' if correction else ''}",
            f"; {seconds:.0f} s, {1e3 * seconds / n:.1f} ms a frame",
        )
        if len(kept) < n:
            print_line(f"{n - len(kept)} frames were dropped, on which the corrections differ by more than {most_deviation:g} eV/Å")


def delta_frames(
    train: Train,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("delta.xyz"),
    method: Method = "GFN2-xTB",
    energy_key: Annotated[str, typer.Option(help="Name of the energy in TRAIN.")] = "energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in TRAIN.")] = "forces",
    force: Force = False,
) -> None:
    """What the labels of molecules are beyond GFN2-xTB: the frames that a correction for `spinconv pretrain-frames` is trained on."""
    with errors_in_words(), progress_bar() as advance:
        prepare(output, force)
        from spinconv.potential.training.frames import Keys, as_option
        from spinconv.potential.training.readers import read_frames
        from spinconv.potential.training.statistics import force_rms
        from spinconv.potential.training.tight_binding import TightBinding, differences

        found = read_frames(train, keys=Keys(energy_key, forces_key, setting=as_option)).frames
        check_molecules(train, [frame.atoms for frame in found])
        frames = [frame for frame in found if len(frame.atoms) > 1]
        made = counted(differences(TightBinding(method), frames), len(frames), advance)
        write_frames(output, made)
        print_result(output, made, f"less {method}", f", of {force_rms(frames):.2f}")


def prepare(output: Path, force: bool) -> None:
    """Before anything is computed: refuse to write over a file, and have tblite use one thread, with which a small molecule is fastest."""
    if output.exists() and not force:
        raise ValueError(f"{output}: is there already; choose another --output, or write over it with --force")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when tblite is loaded


def read_molecules(path: Path) -> list[ase.Atoms]:
    """The molecules of a file of frames, whatever its labels are called, without single atoms."""
    from spinconv.potential.training.readers import first_atoms, read_frames
    from spinconv.potential.training.selection import chosen

    is_npz = chosen(path)[0].suffix == ".npz"
    found = [frame.atoms for frame in read_frames(path).frames] if is_npz else first_atoms(path)
    check_molecules(path, found)
    return [atoms for atoms in found if len(atoms) > 1]


def check_molecules(path: Path, structures: Sequence[ase.Atoms]) -> None:
    """Refuse crystals, and a file of single atoms."""
    for k, atoms in enumerate(structures):
        if atoms.pbc.any():
            raise ValueError(f"{path}, frame {k}: is periodic; GFN-xTB labels molecules here")
    if all(len(atoms) == 1 for atoms in structures):
        raise ValueError(f"{path}: must have molecules, has single atoms only")


def counted(frames: Iterable[Frame], n: int, advance: Callable[[float, str], None]) -> list[Frame]:
    """The frames, while a bar says how many of n there are."""

    def count() -> Iterator[Frame]:
        for k, frame in enumerate(frames, start=1):
            advance(k / n, "frames")
            yield frame

    return list(count())


def corrected(frames: Sequence[Frame], checkpoints: Sequence[Path], most_deviation: float) -> list[Frame]:
    """The frames with what the models of checkpoints say added to their energies and forces, their mean where there are several; without
    those on whose forces the models differ by more than `most_deviation` (rms of all components about the mean, eV/Å)."""
    import numpy as np

    from spinconv.potential.training.checkpoint import load_checkpoint
    from spinconv.potential.training.evaluation import evaluate_frames

    said = [evaluate_frames(start.model, start.metadata["config"], frames).predictions for start in map(load_checkpoint, checkpoints)]
    kept = []
    for frame, predictions in zip(frames, zip(*said, strict=True), strict=True):
        forces = np.array([prediction.forces for prediction in predictions])  # [n_models, n_atoms, 3]
        if np.sqrt(forces.var(axis=0).mean()) <= most_deviation:
            energy = frame.energy + float(np.mean([prediction.energy for prediction in predictions]))
            kept.append(frame._replace(energy=energy, forces=frame.forces + forces.mean(axis=0)))
    if not kept:
        raise ValueError(
            f"the corrections differ by more than {most_deviation:g} eV/Å on every frame; train them longer, or on more frames"
        )
    return kept


def write_frames(path: Path, frames: Sequence[Frame]) -> None:
    """An extended xyz file, whole or not at all."""
    import io

    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    from spinconv.potential.safe_write import write_file

    for frame in frames:
        frame.atoms.calc = SinglePointCalculator(frame.atoms, energy=frame.energy, forces=frame.forces)
    text = io.StringIO()
    ase.io.write(text, [frame.atoms for frame in frames], format="extxyz")
    write_file(path, text.getvalue())


def print_result(output: Path, frames: Sequence[Frame], how: str, more: str) -> None:
    from spinconv.potential.training.statistics import force_rms

    print_line(f"{output}: {len(frames)} frames {how}, force rms {force_rms(frames):.2f} eV/Å{more}")


def print_line(text: str) -> None:
    console.print(text, highlight=False, markup=False)
