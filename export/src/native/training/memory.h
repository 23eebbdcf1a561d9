// What a training step needs room for. It only grows: a step like the last allocates nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include "../edge_arrays.h"
#include "../jet.h"
#include "training_kernels.h"

#include <cstdint>
#include <vector>

namespace spinconv::native {

/// What a thread needs for itself: memory, and what the weights have learned of the edges that it had.
template <class T>
struct Trainee {
  Buffer<T> scratch, of_polynomial, passed[3];
  std::vector<Buffer<T>> learned;
  Buffer<Jet> waves;
};

/// Of a block's forward pass: rows of all atoms, and rows of all edges, which are values before silu.
template <class T>
struct BlockRows {
  Buffer<T> moments, polynomials;
  Buffer<T> responses, of_neighborhood, sum, of_distance, to_message, messages;
};

/// How much of what a batch has.
struct BatchSize {
  int64_t n_atoms = 0, n_edges = 0, n_elements = 0, n_radial = 0;
  int parts = 1;   // of a number
};

template <class T>
struct StepMemory : EdgeArrays<T> {
  EdgeTangents<T> tangents;
  EdgeGradients<T> of_edges;   // of numbers without a derivative; `messages` of both
  Buffer<T> moves;   // of `tangents`, to be written
  Buffer<T> waves, features, initial_distance, initial, initial_message, messages, of_features;   // rows of edges
  std::vector<BlockRows<T>> blocks;
  Buffer<T> of_moments, sums, of_sums, head, of_head, energies, of_energies;   // rows of atoms, but for moments with those of atoms alone
  Buffer<double> gradients;
  std::vector<Trainee<T>> trainees;

  void reserve(const Shape& shape, const SortedEdges& sorted, const BatchSize& size);

 private:
  void reserve_tangents(const Shape& shape, const BatchSize& size);
  void reserve_threads(const Shape& shape, const SortedEdges& sorted, const BatchSize& size);

  Buffer<T> of_shown_, of_envelope_, of_harmonics_, of_messages_;   // what is passed back to them, or their tangents
};

extern template struct StepMemory<float>;
extern template struct StepMemory<double>;

}  // namespace spinconv::native
