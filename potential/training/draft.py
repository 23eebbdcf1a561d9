"""A config for frames that nobody has trained on yet: every choice with its reason beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from ase.data import chemical_symbols

from spinconv.potential.kinds import DEFAULT, KINDS
from spinconv.potential.training.doubts import doubts, undetermined_references
from spinconv.potential.training.frames import DataError
from spinconv.potential.training.statistics import force_rms
from spinconv.potential.training.survey import Survey

ATOMS = 50  # in a step: on one core, more and smaller steps learn faster (docs/training.md)
STEP, EDGE = 4e-3, 8e-6  # seconds of a step and of each of its edges on one CPU core, by the native engine with 32 channels
LONG = 50_000  # steps from which on the weights are averaged over twice as many
HOUR = 3600.0  # seconds: long enough for a first model of nearly anything
EPOCH = (100, 1_000)  # steps between validations
COMMENT = 34  # column


class Preset(NamedTuple):
    """Choices that go together, by trainings of equal time (docs/training.md)."""

    channels: int
    width: str
    """The reason for so many."""
    learning_rate: str
    cost: float
    """Of an edge in a step, in that of an edge with 32 channels."""


PRESETS = {
    "fast": Preset(32, "width; the preset `accurate` has 64", "8e-3", 1.0),
    "accurate": Preset(64, "width; an evaluation takes twice as long as with 32, the preset `fast`", "6e-3", 2.5),
}


class Draft(NamedTuple):
    """The text of a config, and what to say when it is written."""

    text: str
    found: list[str]
    doubts: list[str]


class Sizes(NamedTuple):
    """Numbers of a training that follow from those of the frames."""

    n_validation: int
    batch_size: int
    epoch_steps: int
    seconds: float  # of a step, on one core


def draft(survey: Survey, frames: Path, config: Path, preset: Preset) -> Draft:
    """A config at `config` for the surveyed file `frames`; DataError if there are too few frames to set some aside."""
    if len(survey.frames) < 2:
        raise DataError(f"{frames}: must hold two frames at least, one of them to validate on, got {len(survey.frames)}")
    size, fitted = sizes(survey, preset), not covers(survey)
    path = os.path.relpath(frames.resolve(), config.resolve().parent)
    labels = survey.labels
    said: list[str | None] = [*doubts(survey.file)]
    said += [ambiguity("energy", labels.energies), ambiguity("forces", labels.forces), ambiguity(tensor_of(survey), labels.stresses)]
    said += [undetermined_references(survey.frames, survey.elements) if fitted else None]
    said += [None if labels.forces else f"{frames}: has no forces; energies alone teach little of them"]
    sections = [
        head(survey, config),
        data_lines(survey, path, size),
        reference_lines(survey, path, fitted),
        model_lines(survey, preset),
        loss_lines(survey),
        training_lines(size, preset, not any(frame.atoms.pbc.any() for frame in survey.frames)),
    ]
    return Draft("\n\n".join("\n".join(lines) for lines in sections) + "\n", in_words(survey), [doubt for doubt in said if doubt])


def sizes(survey: Survey, preset: Preset) -> Sizes:
    """Validation frames, batch size, and what a step takes."""
    n = len(survey.frames)
    n_validation = max(1, min(round(n / 10), max(50, n // 100)))
    n_train = n - n_validation
    batch_size = max(1, min(10, n_train, round(ATOMS / survey.atoms_per_frame)))
    seconds = STEP + EDGE * preset.cost * batch_size * survey.atoms_per_frame * survey.neighbors
    epoch_steps = int(np.clip(n_train // batch_size, *EPOCH))
    return Sizes(n_validation, batch_size, epoch_steps, seconds)


def covers(survey: Survey) -> bool:
    """Whether the file has an isolated atom of every element."""
    return set(survey.alone) == set(survey.elements)


def head(survey: Survey, config: Path) -> list[str]:
    return [
        f"# spinconv train {config.name}",
        "#",
        *(f"# {line}" for line in in_words(survey)),
        "# Paths are relative to this file. docs/training.md lists every key with its default.",
    ]


def in_words(survey: Survey) -> list[str]:
    """What was found in the file."""
    counts = [len(frame.atoms) for frame in survey.frames]
    atoms = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    periodic = sum(bool(frame.atoms.pbc.any()) for frame in survey.frames)
    kind = "free" if not periodic else "periodic" if periodic == len(counts) else f"{periodic} of them periodic"
    labels = [f"energies (`{survey.labels.keys.energy}`)"]
    labels += [f"forces (`{survey.labels.keys.forces}`), rms {force_rms(survey.frames):.3g} eV/Å" if survey.labels.forces else "no forces"]
    labels += [f"stresses of {survey.n_stresses} frames" if survey.n_stresses else "no stresses"]
    return [
        survey.file.units,
        *survey.file.notes,
        f"{atoms} atoms of {symbols(survey)} a frame, {kind}; {survey.neighbors:.0f} neighbours an atom within {survey.cutoff:g} Å",
        ", ".join(labels),
    ]


def symbols(survey: Survey) -> str:
    return " ".join(chemical_symbols[z] for z in survey.elements)


def tensor_of(survey: Survey) -> str:
    """What the frames have for the stress: a stress or a virial."""
    return "stress" if survey.labels.keys.virial is None else "virial"


def ambiguity(quantity: str, names: Sequence[str]) -> str | None:
    """A sentence where a file has several candidates for a label."""
    if len(names) < 2:
        return None
    others = ", ".join(f"`{name}`" for name in names[1:])
    return f"`{names[0]}` was taken for the {quantity}, the frames have {others} too; `data.{quantity}_key` decides"


def data_lines(survey: Survey, path: str, size: Sizes) -> list[str]:
    keys, labels, n = survey.labels.keys, survey.labels, len(survey.frames)
    lines = ["data:", line(1, "train", path, f"{n} frames")]
    if not survey.file.is_told:
        lines += [off(1, "units", "kcal/mol", "of the energies, where they are not in eV")]
    lines += [*key_line("energy", keys.energy, labels.energies)]
    lines += key_line("forces", keys.forces, labels.forces)
    if survey.n_stresses and labels.stresses:
        lines += key_line(tensor_of(survey), labels.stresses[0], labels.stresses)
    lines += [
        line(1, "validation", size.n_validation, f"frames set aside, drawn at random; {n - size.n_validation} are left to train on"),
        off(1, "validation", "validation.xyz", "another file is the better judge where frames of one trajectory resemble each other"),
        off(1, "test", "test.xyz", "looked at once, after the training"),
    ]
    return lines


def key_line(quantity: str, key: str, names: Sequence[str]) -> list[str]:
    """The name of a label, where it is not the usual one or others were found."""
    if key == quantity and len(names) < 2:
        return []
    others = f"; the frames have {', '.join(names[1:])} too: is it the right one?" if len(names) > 1 else ""
    return [line(1, f"{quantity}_key", key, f"name of the {quantity} in the file{others}")]


def reference_lines(survey: Survey, path: str, fitted: bool) -> list[str]:
    if not fitted:
        return [
            "reference_energies:",
            line(1, "isolated_atoms", path, "the file has a single atom of every element: atoms that part end at their true energies"),
            line(
                1, "least_squares", False, "true: shifted to the mean of the frames; easier to learn, but an atom alone is then not exact"
            ),
        ]
    lines = [line(0, "reference_energies", "least_squares", "fitted to the frames: for structures like them, not for atoms that part")]
    if undetermined_references(survey.frames, survey.elements):
        lines += ["# The frames cannot tell these energies apart: the model is for their composition only."]
    given = ", ".join(f"{chemical_symbols[z]}: -1.0" for z in survey.elements)
    return [*lines, f"# Energies of the atoms alone, by the method of the frames, are given as a file of single atoms or as {{{given}}}."]


def model_lines(survey: Survey, preset: Preset) -> list[str]:
    return [
        "model:",
        line(1, "sphere", DEFAULT, f"the kind of model, of {', '.join(KINDS)}"),
        line(1, "cutoff", survey.cutoff, f"Å; {survey.neighbors:.0f} neighbours an atom. Time grows with them"),
        line(1, "n_blocks", 2, f"an atom sees {2 * survey.cutoff:g} Å far"),
        line(1, "lmax", 3, "resolution of angles; 4 is finer and slower"),
        line(1, "channels", preset.channels, preset.width),
        off(1, "elements", f"[{symbols(survey).replace(' ', ', ')}]", "those of the frames when not given"),
    ]


def loss_lines(survey: Survey) -> list[str]:
    lines = ["loss:", line(1, "energy_weight", 20.0, "of the squared error of the energy per atom (eV)")]
    if not survey.labels.forces:
        return [*lines, line(1, "forces_weight", 0.0, "the file has no forces")]
    lines += [line(1, "forces_weight", 1.0, "of the squared error of a force component (eV/Å)")]
    if survey.n_stresses:
        some = "" if survey.n_stresses == len(survey.frames) else f"; {survey.n_stresses} of {len(survey.frames)} frames have one"
        lines += [line(1, "stress_weight", stress_weight(survey), f"of the squared error of a stress component (eV/Å³){some}")]
    return lines


def stress_weight(survey: Survey) -> float:
    """Such that stresses begin with a tenth of the price of the forces; one digit."""
    rms = float(np.sqrt(np.mean([np.mean(frame.stress**2) for frame in survey.frames if frame.stress is not None])))
    return float(f"{0.1 * ((force_rms(survey.frames) or 1.0) / rms) ** 2:.0e}") if rms > 0 else 0.0


def training_lines(size: Sizes, preset: Preset, are_molecules: bool) -> list[str]:
    n_steps = HOUR / size.seconds
    steps, decay = f"{n_steps:,.0f} steps of {1000 * size.seconds:.0f} ms", 0.999 if n_steps < LONG else 0.9995
    first = off(
        0, "pretrain", "{train: pretrain.xyz, max_time: 15m}", "by spinconv pretrain-frames: the worst frames err less; and 5e-3 below"
    )
    return [
        *([first] if are_molecules else []),
        line(0, "batch_size", size.batch_size, "frames in a step"),
        line(0, "max_time", "1h", f"about {steps} on one CPU core; the learning rate falls over this time, and with it the errors"),
        line(0, "epoch_steps", size.epoch_steps, "steps between validations; last.ckpt is written then"),
        f"optimizer: {{type: soap, learning_rate: {preset.learning_rate}}}",
        "schedule: {type: cosine, warmup_steps: 500, final_fraction: 0.003}",
        line(0, "ema_decay", decay, "of the running average of the weights, which is validated and saved"),
        line(0, "gradient_clip", 10.0, "against single frames with huge forces"),
        line(0, "seed", 0, "of the first weights and of the order of the frames"),
        line(0, "dtype", "float32", "float64 for the last digits: slower, seldom of use"),
        off(0, "threads", "1", "CPU threads; small molecules are fastest with 1"),
    ]


def line(depth: int, key: str, value: Any, comment: str) -> str:
    """A key, its value, and at its column the reason."""
    written = yaml.safe_dump(value, width=10**6, allow_unicode=True).splitlines()[0]
    return f"{'  ' * depth}{key}: {written}".ljust(COMMENT - 1) + f" # {comment}"


def off(depth: int, key: str, written: str, comment: str) -> str:
    """A line that is commented out, and the reason to take it in."""
    return f"{'  ' * depth}# {key}: {written}".ljust(COMMENT - 1) + f" # {comment}"
