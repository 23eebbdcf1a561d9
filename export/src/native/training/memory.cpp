// SPDX-License-Identifier: MIT
#include "memory.h"

#include "../parameters.h"

#include <algorithm>

namespace spinconv::native {

template <class T>
void StepMemory<T>::reserve(const Shape& shape, const SortedEdges& sorted, const BatchSize& size) {
  const int64_t row = size.parts * shape.channels, of_edges_size = size.n_edges * row, of_atoms = size.n_atoms * row, with_alone = size.n_atoms + size.n_elements;
  reserve_edges(shape, sorted, size);
  waves.fit(size.n_edges * size.parts * padded(size.n_radial));
  for (auto* rows : {&features, &initial_distance, &initial, &initial_message, &messages}) rows->fit(of_edges_size);
  of_features.zeros(of_edges_size);
  for (auto& block : blocks) {
    for (auto* rows : {&block.responses, &block.of_neighborhood, &block.sum, &block.of_distance, &block.to_message, &block.messages}) rows->fit(of_edges_size);
    block.moments.fit(of_atoms * shape.n_low);
    block.polynomials.fit(of_atoms * shape.n_high);
  }
  of_moments.fit(of_atoms * shape.n_low);
  sums.zeros(with_alone * row);
  for (auto* rows : {&of_sums, &head, &of_head}) rows->fit(with_alone * row);
  for (auto* rows : {&energies, &of_energies}) rows->fit(with_alone * size.parts * row_multiple);
  gradients.fit(3 * size.n_edges);
  reserve_threads(shape, sorted, size);
}

template <class T>
void StepMemory<T>::reserve_edges(const Shape& shape, const SortedEdges& sorted, const BatchSize& size) {
  const int64_t stride = (size.n_edges + row_multiple) / row_multiple * row_multiple, of_harmonics = size.n_edges * shape.high;
  edges.vectors = vectors.zeros(3 * stride);
  edges.directions = directions_.fit(3 * stride);
  edges.stride = stride;
  edges.distances = distances_.fit(stride);
  edges.inverse_distances = inverse_distances_.fit(stride);
  edges.shown = shown_.fit(stride);
  edges.shown_slope = shown_slope_.fit(stride);
  edges.envelope = envelope_.fit(stride);
  edges.envelope_slope = envelope_slope_.fit(stride);
  edges.harmonics = harmonics_.fit(of_harmonics);
  edges.pair = sorted.pair.data();
  tangents = {moves.zeros(3 * stride), of_shown_.zeros(stride), of_envelope_.zeros(stride), of_harmonics_.zeros(of_harmonics)};
  of_edges = {of_messages_.fit(size.n_edges * size.parts * shape.channels), of_harmonics_.get(), of_envelope_.get(), of_shown_.get()};
}

template <class T>
void StepMemory<T>::reserve_threads(const Shape& shape, const SortedEdges& sorted, const BatchSize& size) {
  int64_t largest = size.n_atoms + size.n_elements;
  for (const auto& chunk : sorted.chunks) largest = std::max(largest, chunk.n_edges);
  const int64_t widest = size.parts * std::max(shape.channels, padded(size.n_radial));
  const int64_t of_coupling = 2 * (shape.n_spread + 4 * shape.n_rows + shape.n_products) * row_multiple;
  for (auto& trainee : trainees) {
    trainee.scratch.fit(std::max({of_coupling, shape.channels * shape.high, (largest + 12) * widest}));
    trainee.of_polynomial.fit(size.parts * shape.n_high * shape.channels);
    for (auto& passed : trainee.passed) passed.fit(largest * widest);
    trainee.waves.fit(size.n_radial);
  }
}

template struct StepMemory<float>;
template struct StepMemory<double>;

}  // namespace spinconv::native
