"""A model against reference frames: predictions, errors, the tables of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
import torch
from rich.table import Table

from spinconv.potential.gradients import energy_and_forces
from spinconv.potential.safe_write import write_file
from spinconv.potential.stress import has_stress, stressed_components
from spinconv.potential.training.data import Batch, join, labelled_graph, on_device, stresses_of
from spinconv.potential.training.frames import Frame, check_elements, structure_of
from spinconv.potential.training.metrics import ErrorFigure, mae_and_rmse, quantities

EDGES = 20_000  # about so many edges are evaluated together: enough to be fast, little enough for any memory


class Prediction(NamedTuple):
    """What a model says about a frame."""

    energy: float  # eV
    forces: np.ndarray  # (n_atoms, 3), eV/Å
    stress: np.ndarray | None  # (3, 3), eV/Å³, ASE's sign; None where there is none (potential/stress.py, direct forces)


class EvaluationResult(NamedTuple):
    """Errors, and what they are the errors of: frames in the order of the file, a prediction for each."""

    figures: list[ErrorFigure]
    frames: Sequence[Frame]
    predictions: list[Prediction]


class Pairs(NamedTuple):
    """Labels of frames (row 0) and what a model says in their place (row 1), of those frames that have them."""

    energies: np.ndarray  # (2, n_frames) eV
    n_atoms: np.ndarray  # (n_frames,) of the frames with an energy
    forces: np.ndarray  # (2, n_atoms, 3) eV/Å
    numbers: np.ndarray  # (n_atoms,) atomic numbers of the atoms with forces that are labels
    stresses: np.ndarray  # (2, n_components) eV/Å³, of frames with a stress: nine of a crystal, four of a slab in the xy plane


class FrameError(NamedTuple):
    """How wrong a model is about one frame."""

    frame: int  # its number in the file, from 0
    energy: float  # meV per atom, predicted less reference
    forces_rmse: float | None  # meV/Å; None without reference forces
    forces_max: float | None  # meV/Å, of the worst atom
    worst_atom: int | None  # its number, from 0


def evaluate_frames(
    model: Any,
    architecture: Mapping[str, Any],
    frames: Sequence[Frame],
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    most_frames: int | None = None,
    done: Callable[[int], None] = lambda n: None,
) -> EvaluationResult:
    """Errors of a model, or of an exported file's module, on frames.

    `architecture` has "elements" (atomic numbers) and "cutoff" (Å); dtype: that of the model's weights if not given. At most
    `most_frames` are evaluated together, or as many as have some 20,000 edges; `done` is told how many have been, after each piece.
    """
    dtype = dtype or next(p.dtype for p in model.parameters())
    model = model.to(device=device, dtype=dtype)
    check_elements(frames, architecture["elements"], "the model")
    predictions: list[Prediction] = []
    for piece in pieces(frames, architecture["cutoff"], dtype, most_frames):
        batch = on_device(piece, device)
        evaluation = energy_and_forces(model, batch.graph)
        stresses = stresses_of(evaluation.virials, batch)  # (n_systems, 3, 3)
        forces = evaluation.forces.detach().double().cpu().numpy()  # (n_atoms, 3)
        energies, ends = evaluation.energies.detach().tolist(), batch.n_atoms.long().cumsum(0).tolist()
        for k, energy in enumerate(energies):
            stressed = stresses is not None and has_stress(frames[len(predictions)].atoms)
            stress = stresses[k].detach().double().cpu().numpy() if stressed else None
            predictions.append(Prediction(energy, forces[ends[k - 1] if k else 0 : ends[k]], stress))
        done(len(predictions))
    return EvaluationResult(figures(pairs(frames, predictions)), frames, predictions)


def pairs(frames: Sequence[Frame], predictions: Sequence[Prediction]) -> Pairs:
    """The labels of frames beside their predictions."""
    both = list(zip(frames, predictions, strict=True))
    energies = [(frame.energy, found.energy, len(frame.atoms)) for frame, found in both if not np.isnan(frame.energy)]
    labelled = [(frame, found, frame.counted) for frame, found in both if frame.forces is not None]
    forces = [(frame.forces[counted], found.forces[counted], frame.atoms.numbers[counted]) for frame, found, counted in labelled]
    stressed = [(frame, found) for frame, found in both if frame.stress is not None and found.stress is not None]
    stresses = [np.array([frame.stress, found.stress])[:, stressed_components(frame.atoms)] for frame, found in stressed]
    *energy, n_atoms = np.array(energies).reshape(-1, 3).T
    return Pairs(
        np.array(energy),
        n_atoms,
        np.array([np.concatenate([np.empty((0, 3)), *(row[side] for row in forces)]) for side in (0, 1)]),
        np.concatenate([np.empty(0, dtype=int), *(numbers for *_, numbers in forces)]),
        np.concatenate([np.empty((2, 0)), *stresses], axis=1),
    )


def figures(found: Pairs) -> list[ErrorFigure]:
    """Every error of which there is a label: energy, energy per atom, forces (all, per element), stress."""
    energy, forces, stress = (predicted - reference for reference, predicted in (found.energies, found.forces, found.stresses))
    elements = np.unique(found.numbers).tolist()
    errors = [energy, energy / found.n_atoms, forces, stress, *(forces[found.numbers == z] for z in elements)]
    rows = zip(quantities(elements), errors, strict=True)
    return [ErrorFigure(name, unit, *mae_and_rmse(error), error.size) for (name, unit), error in rows if error.size]


def mean_of(results: Sequence[EvaluationResult]) -> EvaluationResult:
    """What a committee says: the mean of its members' predictions on the same frames, and its errors."""
    frames = results[0].frames
    predictions = [mean_prediction(found) for found in zip(*(result.predictions for result in results), strict=True)]
    return EvaluationResult(figures(pairs(frames, predictions)), frames, predictions)


def mean_prediction(found: Sequence[Prediction]) -> Prediction:
    """The mean of what several models say about a frame."""
    energies, forces, stresses = zip(*found, strict=True)
    return Prediction(float(np.mean(energies)), np.mean(forces, axis=0), None if stresses[0] is None else np.mean(stresses, axis=0))


def pieces(frames: Sequence[Frame], cutoff: float, dtype: torch.dtype, most_frames: int | None) -> Iterator[Batch]:
    """The frames in their order, joined to batches as large as is good; only one of them is in memory at a time."""
    waiting: list[Batch] = []
    edges = 0
    for frame in frames:
        graph = labelled_graph(frame, cutoff, dtype)
        new = graph.graph.vectors.shape[0]
        full = edges + new > EDGES if most_frames is None else len(waiting) == most_frames
        if waiting and full:
            yield join(waiting)
            waiting, edges = [], 0
        waiting.append(graph)
        edges += new
    if waiting:
        yield join(waiting)


def frame_errors(result: EvaluationResult) -> list[FrameError]:
    """The errors of every frame, worst forces first (worst energies where there are no forces); NaN is the worst of all."""
    found = []
    for k, (frame, prediction) in enumerate(zip(result.frames, result.predictions, strict=True)):
        energy = 1000 * (prediction.energy - frame.energy) / len(frame.atoms)
        counted = np.flatnonzero(frame.counted)  # (n_counted,)
        if frame.forces is None or not len(counted):
            found.append(FrameError(k, energy, None, None, None))
            continue
        error = 1000 * (prediction.forces - frame.forces)[counted]  # (n_counted, 3)
        size = np.linalg.norm(error, axis=1)  # (n_counted,)
        worst = int(size.argmax())
        found.append(FrameError(k, energy, float(np.sqrt(np.mean(error**2))), float(size[worst]), int(counted[worst])))
    return sorted(found, key=badness, reverse=True)


def badness(error: FrameError) -> tuple[bool, bool, float]:
    """By which frames are sorted: not a number, then forces, then energies."""
    size = abs(error.energy) if error.forces_rmse is None else error.forces_rmse
    broken = not np.isfinite(size + error.energy)
    return broken, error.forces_rmse is not None, 0.0 if broken else size


def not_numbers(result: EvaluationResult) -> str | None:
    """A sentence where a model predicts what is no number."""
    broken = [f.name for f, p in zip(result.frames, result.predictions, strict=True) if not np.all(np.isfinite([p.energy, *p.forces.flat]))]
    if not broken:
        return None
    return f"the predictions of {len(broken)} of {len(result.frames)} frames are no finite numbers, first of {broken[0]}; so are the errors"


def write_predictions(path: Path, result: EvaluationResult) -> None:
    """Extended xyz of the frames, in eV and Å: references as `energy`, `forces`, `stress`, predictions as `spinconv_energy` and so on."""
    written = []
    for frame, prediction in zip(result.frames, result.predictions, strict=True):
        atoms = structure_of(frame)
        atoms.info["spinconv_energy"] = prediction.energy
        atoms.arrays["spinconv_forces"] = prediction.forces
        if prediction.stress is not None:
            atoms.info["spinconv_stress"] = prediction.stress.ravel()  # nine numbers: of a matrix ASE would make JSON
        written.append(atoms)
    text = io.StringIO()
    ase.io.write(text, written, format="extxyz")
    write_file(path, text.getvalue())


def error_table(figures: Sequence[ErrorFigure], title: str) -> Table:
    """The errors as a table for a terminal."""
    table = Table(title=title)
    for name in ("quantity", "MAE", "RMSE", "unit", "values"):
        table.add_column(name, justify="left" if name in ("quantity", "unit") else "right")
    for figure in figures:
        table.add_row(figure.quantity, f"{figure.mae:.4g}", f"{figure.rmse:.4g}", figure.unit, f"{figure.values}")
    return table


def worst_table(errors: Sequence[FrameError], n_frames: int) -> Table:
    """The worst frames as a table for a terminal."""
    table = Table(title=f"the worst {len(errors)} of {n_frames} frames", caption="meV/atom and meV/Å; frames and atoms count from 0")
    for name in ("frame", "energy", "forces RMSE", "largest", "at atom"):
        table.add_column(name, justify="right")
    for error in errors:
        forces = ["-"] * 3 if error.forces_rmse is None else [f"{error.forces_rmse:.4g}", f"{error.forces_max:.4g}", f"{error.worst_atom}"]
        table.add_row(f"{error.frame}", f"{error.energy:+.4g}", *forces)
    return table
