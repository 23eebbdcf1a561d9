// SPDX-License-Identifier: MIT
#include "memory.h"

#include "../parameters.h"

#include <algorithm>

namespace spinconv::native {

template <class T>
void StepMemory<T>::reserve(const Shape& shape, const SortedEdges& sorted, const BatchSize& size) {
  const int64_t row = size.parts * shape.channels, of_edges_size = size.n_edges * row, of_atoms = size.n_atoms * row, with_alone = size.n_atoms + size.n_elements;
  this->reserve_edges(shape, sorted);
  reserve_tangents(shape, size);
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
void StepMemory<T>::reserve_tangents(const Shape& shape, const BatchSize& size) {
  const int64_t stride = this->edges.stride;
  tangents = {moves.zeros(3 * stride), of_shown_.zeros(stride), of_envelope_.zeros(stride), of_harmonics_.zeros(size.n_edges * shape.high)};
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
