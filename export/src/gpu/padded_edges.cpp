// SPDX-License-Identifier: MIT
#include "padded_edges.h"

#include <limits>
#include <string>

namespace spinconv::gpu {
namespace {

constexpr int64_t together = 4;   // edges of a thread

/// From the numbers of edges of the atoms, counts[k + 1] of atom k, to where those of each begin.
void begin_at_multiples(std::vector<int32_t>& counts) {
  counts[0] = 0;
  for (size_t k = 1; k < counts.size(); ++k) counts[k] = static_cast<int32_t>(counts[k - 1] + (counts[k] + together - 1) / together * together);
}

void make_batches(ByAtom& by, int64_t tile) {
  const auto n = static_cast<int32_t>(by.first.size()) - 1;
  by.batches.assign(1, 0);
  for (int32_t k = 1; k < n; ++k) {
    const auto begin = by.batches.back();
    if (by.first[k + 1] - by.first[begin] > tile || k - begin >= tile) by.batches.push_back(k);
  }
  by.batches.push_back(n);
}

}  // namespace

void PaddedEdges::sort(const Graph& graph, const std::vector<int32_t>& element_of, int32_t n_elements, int64_t tile) {
  const int64_t n_nodes = graph.n_atoms + graph.n_ghosts, n_edges = graph.n_edges;
  if (n_edges + together * n_nodes >= std::numeric_limits<int32_t>::max())
    throw Error(std::to_string(n_edges) + " edges are more than kernels can number (2^31); use several processes");
  element.resize(n_nodes);
  for (int64_t i = 0; i < n_nodes; ++i) element[i] = element_of[graph.numbers[i]];
  sent.first.assign(graph.n_atoms + 1, 0);
  received.first.assign(n_nodes + 1, 0);
  for (int64_t e = 0; e < n_edges; ++e) ++sent.first[graph.source[e] + 1], ++received.first[graph.target[e] + 1];
  begin_at_multiples(sent.first);
  begin_at_multiples(received.first);
  make_batches(sent, tile);
  make_batches(received, tile);

  last = sent.first.back();
  order.assign(last + 1, -1);
  auto next = sent.first;
  for (int64_t e = 0; e < n_edges; ++e) order[next[graph.source[e]]++] = e;
  sender.assign(last + 1, 0), target.assign(last + 1, 0), pair.assign(last + 1, 0);
  received_edges.assign(received.first.back(), last);
  next = received.first;
  for (int64_t j = 0; j < graph.n_atoms; ++j)
    for (int32_t place = sent.first[j]; place < sent.first[j + 1]; ++place) {
      const auto e = order[place];
      const int64_t i = e < 0 ? j : graph.target[e];
      sender[place] = static_cast<int32_t>(j);
      target[place] = static_cast<int32_t>(i);
      pair[place] = element[j] * n_elements + element[i];
      if (e >= 0) received_edges[next[i]++] = place;
    }
}

}  // namespace spinconv::gpu
