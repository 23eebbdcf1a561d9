"""Energies of the elements alone: those that a config gives, before and after a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import atomic_numbers

from spinconv.potential.config import KindConfig
from spinconv.potential.training.checkpoint import Checkpoint
from spinconv.potential.training.config import Config, ConfigError
from spinconv.potential.training.evaluation import evaluate_frames
from spinconv.potential.training.frames import Frame, Needs
from spinconv.potential.training.qm9 import atom_references
from spinconv.potential.training.splits import Source, read_file
from spinconv.potential.training.statistics import complete, composition, given_energies, isolated_atoms, shift


def kept(config: Config) -> bool:
    """Whether the reference energies are those of the checkpoint of `start_from`: where the config itself names none."""
    return config.start_from is not None and "reference_energies" not in config.model_fields_set


def energies_alone(config: Config, source: Source, architecture: KindConfig) -> dict[int, float]:
    """Energies (eV) of isolated atoms that the config gives, none if it gives none."""
    r, elements = config.reference_energies, architecture.elements
    if r.values is not None:
        for symbol in r.values:
            if symbol not in atomic_numbers:
                raise ConfigError(f"{source.name}: `reference_energies.values` must have chemical symbols as keys, got {symbol!r}")
        return given_energies({atomic_numbers[symbol]: energy for symbol, energy in r.values.items()}, elements, source.name)
    if r.atomref is not None:
        return complete(atom_references(r.atomref), elements, f"{source.name}: `reference_energies.atomref` lacks the")
    if r.isolated_atoms is not None:
        frames = read_file(config, source, r.isolated_atoms, Needs(forces=False)).frames
        return isolated_atoms(frames, elements, r.isolated_atoms, architecture.cutoff)
    return {}


def beside_network(start: Checkpoint, frames: Sequence[Frame], alone: Mapping[int, float], fit: bool) -> list[float]:
    """Reference energies (eV) in place of those of a trained model; a fit is to what its network leaves of the frames' energies."""
    elements = start.metadata["config"]["elements"]
    energies = np.array([alone.get(z, 0.0) for z in elements])
    if fit:
        predictions = evaluate_frames(start.model, start.metadata["config"], frames).predictions
        bound = np.array([p.energy for p in predictions]) - composition(frames, elements) @ start.model.reference_energies  # (n_frames,) eV
        rest = [frame._replace(energy=frame.energy - energy) for frame, energy in zip(frames, bound, strict=True)]
        energies = energies + shift(rest, elements, energies)
    return [float(energy) for energy in energies]
