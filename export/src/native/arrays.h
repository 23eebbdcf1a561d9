// What an evaluation of a graph needs room for. It only grows: a step like the last allocates nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include "edge_arrays.h"

#include "spinconv/model.h"

#include <cstdint>
#include <vector>

namespace spinconv::native {

constexpr int64_t in_caches = int64_t(1) << 20;   // bytes of one array that are found there when they are read again, about
constexpr int energy_alone = 1, with_centroid = 4;   // quantities that are differentiated: the energy, and its first moments
inline int n_adjoints_of(const Request& request) { return !request.gradients ? 0 : request.centroid ? with_centroid : energy_alone; }

/// What a thread needs for itself.
template <class T>
struct Workspace {
  Buffer<T> scratch, responses, of_responses[with_centroid], kept;
};

/// What an evaluation is about.
struct Task {
  const Graph* graph = nullptr;
  const Request* request = nullptr;
  Result* result = nullptr;
  int64_t n_blocks = 0;
  int n_adjoints = 0;   // quantities that are differentiated

  int64_t n_nodes() const { return graph->n_atoms + graph->n_ghosts; }
  bool all_are_kept() const { return request->chunk == 0 || graph->n_edges <= request->chunk; }
};

template <class T>
struct Arrays : EdgeArrays<T> {
  EdgeGradients<T> of_edges[with_centroid];
  Buffer<T> sums, of_sums, energies, of_moments[with_centroid];
  Buffer<double> gradients;
  std::vector<double> walls;                     // eV, [n_atoms + n_ghosts]
  std::vector<Buffer<T>> moments, polynomials;   // of every block
  std::vector<Workspace<T>> workspaces;

  void reserve(const Shape& shape, const Task& task, const SortedEdges& sorted, int n_threads);

  T* messages(int64_t k) { return messages_.get() + k * messages_size_; }
  /// What the forward pass keeps of block k; nothing where a chunk will be run again.
  Kept<T> kept(int64_t k) {
    const int64_t size = 4 * messages_size_;
    return keeps_ ? Kept<T>{kept_.get() + k * size, 0, size * static_cast<int64_t>(sizeof(T)) > in_caches} : Kept<T>{};
  }

 private:
  void reserve_workspaces(const Shape& shape, const Task& task, const SortedEdges& sorted, int n_threads);

  int64_t messages_size_ = 0;   // n_edges * channels
  bool keeps_ = false;
  Buffer<T> messages_, kept_;
  Buffer<T> of_messages_[with_centroid], of_harmonics_[with_centroid], of_envelope_[with_centroid], of_shown_[with_centroid];
};

extern template struct Arrays<float>;
extern template struct Arrays<double>;

}  // namespace spinconv::native
