// The edges in the order of the atoms that send them, and for every atom those that it receives.
// SPDX-License-Identifier: MIT
#pragma once

#include "buffer.h"

#include "spinconv/model.h"

#include <cstdint>
#include <vector>

namespace spinconv::native {

/// A run of edges with all that a run of atoms sends.
struct Chunk {
  int64_t first_edge = 0, n_edges = 0, first_sender = 0, n_senders = 0;
};

struct SortedEdges {
  std::vector<int64_t> first_sent;       // [n_atoms + 1]
  std::vector<int64_t> order;            // [n_edges], of the graph
  std::vector<int32_t> target;           // [n_edges]
  std::vector<int32_t> pair;             // [n_edges], of elements
  std::vector<int64_t> first_received;   // [n_atoms + n_ghosts + 1]
  std::vector<int32_t> received;         // [n_edges], of sorted edges
  std::vector<int32_t> element;          // [n_atoms + n_ghosts], of the model's
  std::vector<Chunk> chunks;

  /// `element_of` is by atomic number.
  void sort(const Graph& graph, const std::vector<int32_t>& element_of, int32_t n_elements);
};

}  // namespace spinconv::native
