// Layers of the networks, for a tile of rows.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

/// sums = x W (+ bias), panel by panel; `then(r, c, sum)` takes what belongs to row r and the channels from c on.
template <class T, int rows, class Then>
SPINCONV_INLINE void dense(int64_t channels, const T* x, const T* matrix, const T* bias, Then&& then) {
  for (int64_t c = 0; c < channels; c += panel<T>) {
    V<T> sums[rows][side_by_side];
    for (int v = 0; v < side_by_side; ++v) {
      const V<T> begin = bias ? load(bias + c + v * lanes<T>) : all<T>(0);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) sums[r][v] = begin;
    }
    add_product<T, rows, side_by_side>(sums, [&](int r, int64_t k) { return x[r * channels + k]; }, matrix + c, channels, channels);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < side_by_side; ++v) then(r, c + v * lanes<T>, sums[r][v]);
  }
}

/// The hidden values silu(W1 x + b1) * g[kind] of a tile, and their derivatives by W1 x.
template <class T, int rows, class Kind, class Keep>
SPINCONV_INLINE void hidden_values(int64_t channels, const Embedding<T>& w, const T* x, Kind&& kind, T* hidden, Keep&& keep) {
  dense<T, rows>(channels, x, w.first.by_input, w.first_bias, [&](int r, int64_t c, V<T> sum) {
    const auto [value, slope] = silu<T>(sum);
    const V<T> factor = load(w.factors + kind(r) * channels + c);
    store(hidden + r * channels + c, value * factor);
    keep(r, c, slope * factor);
  });
}

}  // namespace
}  // namespace spinconv::native
