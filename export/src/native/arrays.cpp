// SPDX-License-Identifier: MIT
#include "arrays.h"

#include <algorithm>

namespace spinconv::native {

template <class T>
void Arrays<T>::reserve(const Shape& shape, const Task& task, const SortedEdges& sorted, int n_threads) {
  const int64_t n_edges = task.graph->n_edges, n_nodes = task.n_nodes();
  const int64_t moments_size = shape.n_low * shape.channels;
  messages_size_ = n_edges * shape.channels;
  keeps_ = task.n_adjoints > 0 && task.all_are_kept();
  this->reserve_edges(shape, sorted);
  reserve_workspaces(shape, task, sorted, n_threads);
  messages_.fit((task.n_blocks + 1) * messages_size_);
  moments.resize(task.n_blocks), polynomials.resize(task.n_blocks);
  for (auto& of_block : moments) of_block.fit(n_nodes * moments_size);
  for (auto& of_block : polynomials) of_block.fit(task.graph->n_atoms * shape.n_high * shape.channels);
  sums.fit(n_nodes * shape.channels);
  of_sums.fit(n_nodes * shape.channels);
  energies.fit(task.graph->n_atoms);
  walls.assign(n_nodes, 0.0);
  if (keeps_) kept_.fit(task.n_blocks * 4 * messages_size_);
  if (task.n_adjoints > 0) gradients.fit(3 * n_edges);
  for (int a = 0; a < task.n_adjoints; ++a) {
    of_edges[a].messages = of_messages_[a].fit(messages_size_);
    of_edges[a].harmonics = of_harmonics_[a].fit(n_edges * shape.high);
    of_edges[a].envelope = of_envelope_[a].fit(this->edges.stride);
    of_edges[a].shown = of_shown_[a].fit(this->edges.stride);
    of_moments[a].fit(n_nodes * moments_size);
  }
}

template <class T>
void Arrays<T>::reserve_workspaces(const Shape& shape, const Task& task, const SortedEdges& sorted, int n_threads) {
  int64_t largest = 0;
  for (const auto& chunk : sorted.chunks) largest = std::max(largest, chunk.n_edges);
  const int64_t of_coupling = (shape.n_spread + 4 * shape.n_rows + shape.n_products) * row_multiple, of_spin = shape.channels * shape.high,
                of_messages = 24 * shape.channels;
  if (static_cast<int>(workspaces.size()) < n_threads) workspaces.resize(n_threads);
  for (auto& workspace : workspaces) {
    workspace.scratch.fit(std::max({of_coupling, of_spin, of_messages}) + shape.n_high * shape.channels);
    workspace.responses.fit(largest * shape.channels);
    if (task.n_adjoints > 0 && !task.all_are_kept()) workspace.kept.fit(largest * 4 * shape.channels);
    for (int a = 0; a < task.n_adjoints; ++a) workspace.of_responses[a].fit(largest * shape.channels);
  }
}

template struct Arrays<float>;
template struct Arrays<double>;

}  // namespace spinconv::native
