// A batch, and how its work is shared out. Which thread does a task depends on its number alone, so that what the weights learn is added up in
// the same order at every run.
// SPDX-License-Identifier: MIT
#pragma once

#include "../sorted_edges.h"
#include "../team.h"
#include "memory.h"
#include "training_step.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace spinconv::native {

constexpr int64_t atoms_at_once = 16;
constexpr int64_t edges_at_once = 256;        // a multiple of every vector
constexpr int64_t edges_for_a_thread = 200;   // fewer are not worth waking one

template <class T>
class Shares {
 public:
  Shares(const std::vector<int64_t>& elements, int threads) : n_elements_(static_cast<int64_t>(elements.size())), threads_(threads) {
    element_of_.assign(*std::max_element(elements.begin(), elements.end()) + 1, -1);
    for (size_t n = 0; n < elements.size(); ++n) element_of_[elements[n]] = static_cast<int32_t>(n);
  }

  SortedEdges sorted;
  std::vector<int32_t> elements;   // of the atoms, then of an atom alone of each element

  void begin(const TrainingGraph<T>& graph, std::vector<Trainee<T>>& trainees) {
    Graph sortable;
    sortable.n_atoms = n_atoms_ = graph.n_atoms;
    sortable.n_edges = n_edges_ = graph.n_edges;
    sortable.numbers = graph.numbers, sortable.source = graph.source, sortable.target = graph.target;
    sorted.sort(sortable, element_of_, static_cast<int32_t>(n_elements_));
    elements = sorted.element;
    for (int64_t element = 0; element < n_elements_; ++element) elements.push_back(static_cast<int32_t>(element));
    team_.resize(static_cast<int>(std::clamp<int64_t>(n_edges_ / edges_for_a_thread, 1, threads_)));
    trainees.resize(team_.size());
    trainees_ = &trainees;
  }

  /// task(first edge, number of edges)
  template <class Task>
  void over_edges(Task&& task) {
    share_out((n_edges_ + edges_at_once - 1) / edges_at_once,
              [&](int64_t k, Trainee<T>&) { task(k * edges_at_once, std::min(edges_at_once, n_edges_ - k * edges_at_once)); });
  }

  /// task(chunk, trainee)
  template <class Task>
  void over_chunks(Task&& task) {
    share_out(static_cast<int64_t>(sorted.chunks.size()), [&](int64_t k, Trainee<T>& trainee) { task(sorted.chunks[k], trainee); });
  }

  /// task(atom, edges into it, their number, trainee)
  template <class Task>
  void over_atoms(Task&& task) {
    share_out((n_atoms_ + atoms_at_once - 1) / atoms_at_once, [&](int64_t k, Trainee<T>& trainee) {
      for (int64_t i = k * atoms_at_once; i < std::min((k + 1) * atoms_at_once, n_atoms_); ++i)
        task(i, sorted.received.data() + sorted.first_received[i], sorted.first_received[i + 1] - sorted.first_received[i], trainee);
    });
  }

  /// task(atom, its first edge, number of edges), for those atoms of a chunk that send.
  template <class Task>
  void over_senders(const Chunk& chunk, Task&& task) const {
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j)
      if (const int64_t n = sorted.first_sent[j + 1] - sorted.first_sent[j]; n > 0) task(j, sorted.first_sent[j], n);
  }

 private:
  template <class Task>
  void share_out(int64_t n, Task&& task) {
    team_.run(team_.size(), [&](int64_t share, int) {
      for (int64_t k = share; k < n; k += team_.size()) task(k, (*trainees_)[share]);
    });
  }

  const int64_t n_elements_;
  const int threads_;
  std::vector<int32_t> element_of_;   // by atomic number
  Team team_;
  std::vector<Trainee<T>>* trainees_ = nullptr;
  int64_t n_atoms_ = 0, n_edges_ = 0;
};

}  // namespace spinconv::native
