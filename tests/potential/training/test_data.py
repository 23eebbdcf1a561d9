import ase
import ase.build
import numpy as np
import pytest
import torch

from spinconv.potential.graph import build_graph
from spinconv.potential.training import data
from spinconv.potential.training.data import BatchStream, GraphDataset, Once, check_memory, labelled_graph, mean_neighbors
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


def test_extra_frames_have_their_share_of_a_pass_and_each_comes_once_before_any_comes_again():
    stream = BatchStream(n_frames=10, batch_size=4, seed=1, n_extra=23, extra_share=0.75)
    assert len(stream) == 10  # passes of 40 frames, 30 of them extra
    seen = []
    for epoch in range(23):
        stream.set_epoch(epoch)
        drawn = sorted(k for batch in stream for k in batch)
        assert drawn[:10] == list(range(10))
        seen.append(drawn[10:])
    counts = np.bincount(np.concatenate(seen), minlength=33)[10:]
    assert (counts == 30).all()  # 23 passes of 30: 30 rounds through all 23
    assert seen[0] != seen[1]
    stream.set_epoch(3)
    assert list(stream) == list(stream)


def test_ranks_share_out_each_batch():
    whole, halves = list(BatchStream(12, 4, 0)), [list(BatchStream(12, 4, 0, rank=r, world=2)) for r in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]
    assert sorted(k for r in (0, 1) for batch in Once(7, 2, r, 2) for k in batch) == list(range(7))


def test_frames_whose_graphs_do_not_fit_are_refused_with_a_figure(monkeypatch):
    chain = ase.Atoms("H100", [(k, 0, 0) for k in range(100)])
    frames = [frame_of(chain)] * 1000  # 198 pairs within 1.5 Å, twice 99
    check_memory(frames, 1.5, torch.float32)
    needed = 1000 * (10_000 + 100 * 30 + 198 * 28)
    monkeypatch.setattr(data, "available_memory", lambda: needed - 1)
    with pytest.raises(DataError) as error:
        check_memory(frames, 1.5, torch.float32)
    assert str(error.value) == (
        "1,000 frames of 100,000 atoms with 2 neighbours within 1.5 Å need 19 MB of memory, 19 MB are free; "
        "use fewer frames (`data.max_frames`) or a smaller `model.cutoff`"
    )
    monkeypatch.setattr(data, "available_memory", lambda: needed + 1)
    check_memory(frames, 1.5, torch.float32)


def test_the_estimate_of_the_memory_is_that_of_the_tensors():
    frames = [frame_of(ase.build.bulk("Cu", cubic=True).repeat(2))] * 40
    graphs = GraphDataset(frames, 5.0, torch.float32).graphs
    tensors = sum(t.nbytes for batch in graphs for t in (*batch.graph[:4], *batch[1:]))
    n_atoms, neighbors = 32 * len(frames), mean_neighbors(frames, 5.0)
    assert neighbors == 42  # shells of 12, 6 and 24 atoms
    assert tensors == pytest.approx(n_atoms * (data.ATOM_BYTES + neighbors * (data.EDGE_BYTES + 12)), rel=0.02)
