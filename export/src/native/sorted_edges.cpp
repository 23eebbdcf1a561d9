// SPDX-License-Identifier: MIT
#include "sorted_edges.h"

namespace spinconv::native {
namespace {

constexpr int64_t edges_in_chunk = 192;   // about; what a chunk computes stays in the caches

}  // namespace

void SortedEdges::sort(const Graph& graph, const std::vector<int32_t>& element_of, int32_t n_elements) {
  const int64_t n_nodes = graph.n_atoms + graph.n_ghosts, n_edges = graph.n_edges;
  element.resize(n_nodes);
  for (int64_t i = 0; i < n_nodes; ++i) element[i] = element_of[graph.numbers[i]];
  first_sent.assign(graph.n_atoms + 1, 0);
  first_received.assign(n_nodes + 1, 0);
  for (int64_t e = 0; e < n_edges; ++e) ++first_sent[graph.source[e] + 1], ++first_received[graph.target[e] + 1];
  for (int64_t j = 0; j < graph.n_atoms; ++j) first_sent[j + 1] += first_sent[j];
  for (int64_t i = 0; i < n_nodes; ++i) first_received[i + 1] += first_received[i];
  order.resize(n_edges), target.resize(n_edges), pair.resize(n_edges), received.resize(n_edges);
  for (int64_t e = 0; e < n_edges; ++e) order[first_sent[graph.source[e]]++] = e;   // now where the next atom's begin
  for (int64_t j = graph.n_atoms; j > 0; --j) first_sent[j] = first_sent[j - 1];
  first_sent[0] = 0;
  for (int64_t n = 0; n < n_edges; ++n) {
    const auto e = order[n];
    target[n] = static_cast<int32_t>(graph.target[e]);
    pair[n] = element[graph.source[e]] * n_elements + element[graph.target[e]];
    received[first_received[target[n]]++] = static_cast<int32_t>(n);
  }
  for (int64_t i = n_nodes; i > 0; --i) first_received[i] = first_received[i - 1];
  first_received[0] = 0;

  chunks.clear();
  for (int64_t sender = 0, begin = 0; sender < graph.n_atoms; ++sender) {
    const int64_t n = first_sent[sender + 1] - first_sent[begin];
    if (n < edges_in_chunk && sender + 1 < graph.n_atoms) continue;
    chunks.push_back({first_sent[begin], n, begin, sender + 1 - begin});
    begin = sender + 1;
  }
}

}  // namespace spinconv::native
