"""Batches of labelled graphs. The neighbours of a frame never change, so its graph is built once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from spinconv.potential.graph import Graph, batch_graphs, build_graph
from spinconv.potential.memory import available_memory, in_words
from spinconv.potential.searchable import check_distances
from spinconv.potential.stress import has_stress, periodic_directions, stressed_components
from spinconv.potential.training.frames import DataError, Frame

CLOSEST = 0.1  # Å; nearer in a reference frame is a wrong unit, or an atom that is there twice
SAMPLE = 16  # frames whose neighbours are counted before those of all are searched
FRAME_BYTES, ATOM_BYTES, EDGE_BYTES = 10_000, 30, 16  # of a graph in memory, measured; an edge has a vector besides


class Batch(NamedTuple):
    """Graphs of several frames and their labels. A label that a frame lacks is NaN."""

    graph: Graph
    n_atoms: torch.Tensor  # (n_systems,) working dtype
    energies: torch.Tensor  # (n_systems,) float64, eV
    forces: torch.Tensor  # (n_atoms, 3) eV/Å
    stresses: torch.Tensor  # (n_systems, 3, 3) eV/Å³, NaN across what is not periodic
    volumes: torch.Tensor  # (n_systems,) Å³, 1 where there is no stress
    periodic: torch.Tensor  # (n_systems, 3, 3) what projects on the periodic directions


def labelled_graph(frame: Frame, cutoff: float, dtype: torch.dtype) -> Batch:
    """The batch of one frame; DataError where it has no neighbours that mean anything, as for atoms on top of each other."""
    graph = graph_of_frame(frame, cutoff, dtype)
    n = len(frame.atoms)
    forces = np.full((n, 3), np.nan) if frame.forces is None else np.where(frame.counted[:, None], frame.forces, np.nan)
    stress = np.nan if frame.stress is None else np.where(stressed_components(frame.atoms), frame.stress, np.nan)
    volume, within = (frame.atoms.get_volume(), periodic_directions(frame.atoms)) if has_stress(frame.atoms) else (1.0, np.eye(3))
    return Batch(
        graph,
        torch.tensor([n], dtype=dtype),
        torch.tensor([frame.energy], dtype=torch.float64),
        torch.tensor(forces, dtype=dtype),
        torch.tensor(np.broadcast_to(stress, (1, 3, 3)), dtype=dtype),
        torch.tensor([volume], dtype=dtype),
        torch.tensor(within, dtype=dtype)[None],
    )


def stresses_of(virials: torch.Tensor | None, batch: Batch) -> torch.Tensor | None:
    """Stresses (eV/Å³, [n_systems, 3, 3]) of the virials that a model predicts for a batch: along the periodic directions alone.

    None where it predicts none, as a model with direct forces.
    """
    if virials is None:
        return None
    return -(batch.periodic @ virials @ batch.periodic) / batch.volumes[:, None, None]


def graph_of_frame(frame: Frame, cutoff: float, dtype: torch.dtype) -> Graph:
    """The graph; DataError with the frame's name where it is refused: most often for a wrong unit, or a frame written twice."""
    try:
        graph = build_graph(frame.atoms, cutoff, dtype)
        check_distances(graph.edge_index.numpy(), graph.vectors.numpy(), least=CLOSEST)
        return graph
    except ValueError as error:
        raise DataError(f"{frame.name}: {error}") from error


def mean_neighbors(frames: Sequence[Frame], cutoff: float) -> float:
    """Neighbours of an atom, from a few frames all over the file."""
    sample = [frames[k] for k in np.linspace(0, len(frames) - 1, min(SAMPLE, len(frames))).astype(int)]
    n_edges = sum(graph_of_frame(frame, cutoff, torch.float32).edge_index.shape[1] for frame in sample)
    return n_edges / sum(len(frame.atoms) for frame in sample)


def check_memory(frames: Sequence[Frame], cutoff: float, dtype: torch.dtype) -> None:
    """Refuse frames whose graphs need more memory than is free."""
    n_atoms, neighbors = sum(len(frame.atoms) for frame in frames), mean_neighbors(frames, cutoff)
    needed = FRAME_BYTES * len(frames) + n_atoms * (ATOM_BYTES + neighbors * (EDGE_BYTES + 3 * dtype.itemsize))
    if needed > (free := available_memory()):
        raise DataError(
            f"{len(frames):,} frames of {n_atoms:,} atoms with {neighbors:.0f} neighbours within {cutoff:g} Å need {in_words(needed)} "
            f"of memory, {in_words(free)} are free; use fewer frames (`data.max_frames`) or a smaller `model.cutoff`"
        )


def join(batches: Sequence[Batch]) -> Batch:
    """Several batches as one."""
    return Batch(batch_graphs([batch.graph for batch in batches]), *(torch.cat(parts) for parts in list(zip(*batches, strict=True))[1:]))


def on_device(batch: Batch, device: torch.device | str) -> Batch:
    """The batch on a device."""
    g = batch.graph
    graph = Graph(g.numbers.to(device), g.edge_index.to(device), g.vectors.to(device), g.system.to(device), g.n_systems)
    return Batch(graph, *(part.to(device) for part in batch[1:]))


class GraphDataset(Dataset[Batch]):
    """Labelled graphs; indexed by a list of frames, it gives their batch."""

    def __init__(self, frames: Sequence[Frame], cutoff: float, dtype: torch.dtype) -> None:
        self.graphs = [labelled_graph(frame, cutoff, dtype) for frame in frames]

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        return join([self.graphs[k] for k in indices])


class BatchStream(Sampler[list[int]]):
    """Batches of frame indices for an epoch: an endless run of random passes, of which epoch k is the k-th stretch of `steps`.

    It depends on nothing but seed and epoch, so a resumed training sees the batches it would have seen. A pass drops the
    frames that do not fill its last batch; each pass drops others. With several devices every rank takes its share of each batch.
    Where there are `n_extra` more frames, whose indices follow, a pass has so many of them that they are `extra_share` of all: each
    once before any comes again.
    """

    def __init__(
        self,
        n_frames: int,
        batch_size: int,
        seed: int,
        steps: int | None = None,
        rank: int = 0,
        world: int = 1,
        n_extra: int = 0,
        extra_share: float = 0.0,
    ) -> None:
        self.n_frames, self.n_extra, self.seed = n_frames, n_extra, seed
        self.extra_per_pass = round(n_frames * extra_share / (1.0 - extra_share)) if n_extra else 0
        self.batch_size = min(batch_size, n_frames + self.extra_per_pass)
        self.steps_per_pass = (n_frames + self.extra_per_pass) // self.batch_size
        self.steps = steps or self.steps_per_pass
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        turn, order = -1, np.empty(0, dtype=int)
        for step in range(self.epoch * self.steps, (self.epoch + 1) * self.steps):
            if step // self.steps_per_pass != turn:
                turn = step // self.steps_per_pass
                order = np.random.default_rng([self.seed, turn]).permutation(np.append(np.arange(self.n_frames), self.extra_of(turn)))
            start = step % self.steps_per_pass * self.batch_size
            yield order[start : start + self.batch_size][self.rank :: self.world].tolist()

    def extra_of(self, turn: int) -> np.ndarray:
        """Indices of the extra frames of a pass: a stretch of an endless run of permutations, which have generators of their own."""
        if self.extra_per_pass == 0:
            return np.empty(0, dtype=int)
        first, last = turn * self.extra_per_pass, (turn + 1) * self.extra_per_pass
        rounds = range(first // self.n_extra, -(-last // self.n_extra))
        run = np.concatenate([np.random.default_rng([self.seed, number, 1]).permutation(self.n_extra) for number in rounds])
        start = first - rounds.start * self.n_extra
        extra: np.ndarray = self.n_frames + run[start : start + self.extra_per_pass]
        return extra


class Once(Sampler[list[int]]):
    """Every frame once, in order; each of several ranks takes its share."""

    def __init__(self, n_frames: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        mine = list(range(rank, n_frames, world))
        self.batches = [mine[k : k + batch_size] for k in range(0, len(mine), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def unchanged(batch: Any) -> Any:
    return batch


def loader(dataset: GraphDataset, sampler: Sampler[list[int]]) -> DataLoader[Batch]:
    """A loader whose sampler says what is in each batch."""
    return DataLoader(dataset, batch_size=None, sampler=sampler, collate_fn=unchanged)
