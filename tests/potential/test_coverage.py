import math

import ase
import ase.build
import pytest
import torch
from structures import ethanol

from spinconv.potential.coverage import Coverage, coverage_of
from spinconv.potential.graph import build_graph

ELEMENTS = [1, 6, 8]


def of(*structures: ase.Atoms, cutoff: float = 3.0, dtype: torch.dtype = torch.float64) -> Coverage:
    return coverage_of([build_graph(atoms, cutoff, dtype) for atoms in structures], ELEMENTS)


def chain(symbols: str, spacing: float) -> ase.Atoms:
    """Atoms on a line."""
    atoms = ase.Atoms(symbols)
    atoms.positions[:, 0] = [spacing * k for k in range(len(atoms))]
    return atoms


def test_the_shortest_distances_are_those_of_the_pairs_and_rounded_down():
    coverage = of(chain("OHH", 1.0019), chain("OHH", 0.9875), chain("CO", 2.9))
    assert coverage.to_dict(ELEMENTS)["shortest_distances"] == {"H-H": 0.987, "H-O": 0.987, "C-O": 2.899}
    assert coverage.shortest[0][2] == coverage.shortest[2][0] == 0.987
    assert coverage.shortest[1][1] == math.inf  # no two carbons


def test_pairs_beyond_the_cutoff_were_never_seen():
    assert of(chain("CO", 3.1)) == Coverage([[math.inf] * 3] * 3, [(0, 0)] * 3)


def test_neighbor_counts_are_the_range_over_atoms_and_frames():
    coverage = of(chain("HHHHH", 1.4), chain("HO", 1.0))  # at 3 Å two on either side: 2, 3, 4, 3, 2, and one each
    assert coverage.neighbors == [(1, 4), (0, 0), (1, 1)]


def test_periodic_images_are_neighbors():
    diamond = ase.build.bulk("C", "diamond", 3.57)
    coverage = of(diamond, cutoff=3.57 / math.sqrt(2) + 0.01)
    assert coverage.neighbors[1] == (16, 16)  # 4 at a sqrt(3)/4, 12 at a/sqrt(2)
    assert coverage.shortest[1][1] == pytest.approx(3.57 * math.sqrt(3) / 4, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_training_frame_lies_outside_in_any_precision(dtype):
    for tenths in range(8, 30):
        coverage = of(chain("HH", tenths / 10), dtype=dtype)
        assert coverage.shortest[0][0] <= tenths / 10 - 1e-7
        assert coverage.shortest[0][0] >= tenths / 10 - 0.002


def test_a_dictionary_and_back_is_the_same():
    coverage = of(ethanol(), chain("OO", 1.3))
    assert Coverage.from_dict(coverage.to_dict(ELEMENTS), ELEMENTS) == coverage


def test_the_union_is_the_coverage_of_all_frames():
    parts = [chain("OHH", 1.0), chain("CCCC", 1.4)], [chain("OH", 0.96), chain("HHHH", 0.8)]
    assert of(*parts[0]).union(of(*parts[1])) == of(*parts[0], *parts[1])
    assert of(*parts[0]).union(of()) == of().union(of(*parts[0])) == of(*parts[0])
