import ase
import numpy as np
import pytest
import torch

from spinconv.potential.graph import build_graph
from spinconv.potential.training.data import BatchStream, GraphDataset, Once, labelled_graph
from spinconv.potential.training.frames import DataError, Frame


def frame_of(atoms: ase.Atoms, name: str = "t.xyz, frame 0") -> Frame:
    return Frame(atoms, -1.0, np.zeros((len(atoms), 3)), None, name)


def test_atoms_on_top_of_each_other_are_refused():
    with pytest.raises(DataError) as error:
        labelled_graph(frame_of(ase.Atoms("H3", [(0, 0, 0), (2, 0, 0), (2, 0, 0.05)])), 5.0, torch.float64)
    assert str(error.value) == "t.xyz, frame 0: atoms 1 and 2 are 0.05 Å apart; atoms must be at least 0.1 Å apart"


def test_atoms_on_top_of_an_image_are_refused():
    atoms = ase.Atoms("H2", [(0, 0, 0.02), (0, 0, 3.97)], cell=[4, 4, 4], pbc=True)
    with pytest.raises(DataError, match=r"atoms 0 and 1 are 0.05 Å apart"):
        labelled_graph(frame_of(atoms), 3.0, torch.float64)
    atoms.pbc = False
    labelled_graph(frame_of(atoms), 3.0, torch.float64)


def test_a_batch_is_its_frames_one_after_the_other():
    small, large = ase.Atoms("HO", [(0, 0, 0), (0, 0, 1)]), ase.Atoms("H3", [(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    batch = GraphDataset([frame_of(small), frame_of(large)], 5.0, torch.float64)[[1, 0]]
    assert batch.graph.numbers.tolist() == [1, 1, 1, 1, 8]
    assert batch.graph.system.tolist() == [0, 0, 0, 1, 1]
    assert batch.n_atoms.tolist() == [3, 2]
    torch.testing.assert_close(batch.graph.vectors[-2:], build_graph(small, 5.0, torch.float64).vectors)
    assert torch.isnan(batch.stresses).all()


def test_a_pass_of_the_stream_shows_every_frame_at_most_once_and_the_next_another_order():
    stream = BatchStream(n_frames=10, batch_size=3, seed=1)
    first = list(stream)
    stream.set_epoch(1)
    second = list(stream)
    assert len(stream) == len(first) == 3
    assert len({k for batch in first for k in batch}) == 9
    assert first != second


def test_epochs_of_any_length_cut_the_same_stream():
    def batches(steps, epochs):
        stream = BatchStream(n_frames=10, batch_size=3, seed=1, steps=steps)
        found = []
        for epoch in range(epochs):
            stream.set_epoch(epoch)
            found += list(stream)
        return found

    assert batches(2, 6) == batches(4, 3) == batches(12, 1)


def test_ranks_share_out_each_batch():
    whole, halves = list(BatchStream(12, 4, 0)), [list(BatchStream(12, 4, 0, rank=r, world=2)) for r in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]
    assert sorted(k for r in (0, 1) for batch in Once(7, 2, r, 2) for k in batch) == list(range(7))
