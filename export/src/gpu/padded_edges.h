// The edges as the kernels take them: in the order of the atoms that send them, those of each beginning at a multiple of four, and for every atom the list
// of those that it receives, likewise; the places between are edges longer than the cutoff, which count nothing. Work groups take batches of atoms.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <cstdint>
#include <vector>

namespace spinconv::gpu {

/// The edges by one of their ends.
struct ByAtom {
  std::vector<int32_t> first;     // [n + 1], multiples of four
  std::vector<int32_t> batches;   // [n_batches + 1]: the first atom of each; what belongs to them fits a tile, or they are one atom
};

class PaddedEdges {
 public:
  ByAtom sent, received;
  int32_t last = 0;                   // an edge of no atom, beyond all others
  std::vector<int64_t> order;         // [last + 1], of the graph; -1 in between
  std::vector<int32_t> sender, target, pair;   // [last + 1]
  std::vector<int32_t> received_edges;         // of received.first
  std::vector<int32_t> element;       // [n_atoms + n_ghosts], of the model's

  /// `element_of` is by atomic number; a tile has `tile` edges. Error where there are more edges than can be numbered.
  void sort(const Graph& graph, const std::vector<int32_t>& element_of, int32_t n_elements, int64_t tile);
};

}  // namespace spinconv::gpu
