// The messages of a block, from the responses h of its spin convolution (E is the embedding block, q the table of of_distance):
//
//   p = E_of_neighborhood(h) + q(d),   x = silu(p),   m_after = m_before + E_to_message(x)       (the first block: no m_before)
//
// and back, from dE/dm_after: through to_message, silu, of_neighborhood and the spin convolution's silu. Four derivatives an edge and channel
// are kept of the forward pass: of the two silu before and within of_neighborhood, of x, and within to_message.
// SPDX-License-Identifier: MIT
#pragma once

#include "dense.h"
#include "kernels.h"
#include "simd.h"
#include "spin.h"
#include "splines.h"

namespace spinconv::native {
namespace {

enum Derivative : int { of_spin, of_hidden, of_sum, of_message_hidden };

/// `scratch`: 2 * 12 * channels numbers. `before` may be null.
template <class T>
void messages(const Shape& shape, const Block<T>& block, const Table<T>& table, const Edges<T>& edges, int64_t first, int64_t n, const T* responses,
              const T* before, T* scratch, T* after, const Kept<T>& kept) {
  const int64_t channels = shape.channels;
  in_tiles(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    const int64_t edge = first + begin;
    T *hidden = scratch, *x = scratch + rows * channels;
    const auto kind = [&](int r) { return int64_t(edges.pair[edge + r]); };
    const auto kept_as = [&](Derivative which) {
      return [&, which](int r, int64_t c, V<T> slope) { keep(shape, kept, edge + r, which, c, slope); };
    };
    hidden_values<T, rows>(channels, block.of_neighborhood, responses + begin * channels, kind, hidden, kept_as(of_hidden));
    Place<T> places[rows];
    for (int r = 0; r < rows; ++r) places[r] = place_of_values(table, channels, edges.pair[edge + r], edges.shown[edge + r]);
    dense<T, rows>(channels, hidden, block.of_neighborhood.last.by_input, block.of_neighborhood.last_bias, [&](int r, int64_t c, V<T> sum) {
      const auto [value, slope] = silu<T>(sum + at(places[r], channels, c));
      store(x + r * channels + c, value);
      kept_as(of_sum)(r, c, slope);
    });
    hidden_values<T, rows>(channels, block.to_message, x, kind, hidden, kept_as(of_message_hidden));
    dense<T, rows>(channels, hidden, block.to_message.last.by_input, block.to_message.last_bias, [&](int r, int64_t c, V<T> sum) {
      const int64_t place = (edge + r) * channels + c;
      store(after + place, before ? load(before + place) + sum : sum);
    });
  });
  if (kept.past_caches) streamed();
}

/// From of.messages to dE/d(what the spin convolution's silu is of), and to dE/dd by the table.
template <class T>
void messages_back(const Shape& shape, const Block<T>& block, const Table<T>& table, const Edges<T>& edges, int64_t first, int64_t n, const Kept<T>& kept,
                   T* scratch, const EdgeGradients<T>& of, T* of_responses) {
  const int64_t channels = shape.channels;
  in_tiles(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    const int64_t edge = first + begin;
    T *a = scratch, *b = scratch + rows * channels;
    if (begin + 2 * rows <= n) prefetch(kept_row(shape, kept, edge + rows, 0), 4 * rows * channels);
    const auto slope = [&](Derivative which, int r, int64_t c) { return load(kept_row(shape, kept, edge + r, which) + c); };
    const auto times = [&](T* to, Derivative which) {
      return [&, to, which](int r, int64_t c, V<T> sum) { store(to + r * channels + c, sum * slope(which, r, c)); };
    };
    dense<T, rows>(channels, of.messages + edge * channels, block.to_message.last.by_output, nullptr, times(a, of_message_hidden));
    dense<T, rows>(channels, a, block.to_message.first.by_output, nullptr, times(b, of_sum));
    for (int r = 0; r < rows; ++r) {
      const auto place = place_of_slopes(table, channels, edges.pair[edge + r], edges.shown[edge + r]);
      V<T> dot = all<T>(0);
      for (int64_t c = 0; c < channels; c += lanes<T>) dot += load(b + r * channels + c) * at(place, channels, c);
      of.shown[edge + r] += sum_of<T>(dot);
    }
    dense<T, rows>(channels, b, block.of_neighborhood.last.by_output, nullptr, times(a, of_hidden));
    dense<T, rows>(channels, a, block.of_neighborhood.first.by_output, nullptr, times(of_responses + begin * channels, of_spin));
  });
}

}  // namespace
}  // namespace spinconv::native
