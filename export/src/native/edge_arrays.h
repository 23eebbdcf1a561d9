// Room for what is known of the edges before any message.
// SPDX-License-Identifier: MIT
#pragma once

#include "buffer.h"
#include "kernels.h"
#include "sorted_edges.h"

#include <cstdint>

namespace spinconv::native {

template <class T>
class EdgeArrays {
 public:
  Edges<T> edges;
  Buffer<T> vectors;   // of `edges`, to be written

  void reserve_edges(const Shape& shape, const SortedEdges& sorted) {
    const auto n_edges = static_cast<int64_t>(sorted.order.size());
    const int64_t stride = (n_edges + row_multiple) / row_multiple * row_multiple;   // a vector may reach beyond the last
    edges.vectors = vectors.zeros(3 * stride);
    edges.directions = directions_.fit(3 * stride);
    edges.stride = stride;
    edges.distances = distances_.fit(stride);
    edges.inverse_distances = inverse_distances_.fit(stride);
    edges.shown = shown_.fit(stride);
    edges.shown_slope = shown_slope_.fit(stride);
    edges.envelope = envelope_.fit(stride);
    edges.envelope_slope = envelope_slope_.fit(stride);
    edges.harmonics = harmonics_.fit(n_edges * shape.high);
    edges.pair = sorted.pair.data();
  }

 private:
  Buffer<T> directions_, distances_, inverse_distances_, shown_, shown_slope_, envelope_, envelope_slope_, harmonics_;
};

}  // namespace spinconv::native
