// The last network, from the sums into an atom to its energy: E = W2 (silu(W1 S + b1) * g[element]) + b2, one number; and dE/dS.
// SPDX-License-Identifier: MIT
#pragma once

#include "dense.h"
#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

/// `w.last.by_input` is the one row of W2. `of_sums` may be null. `scratch`: 2 * 12 * channels numbers.
template <class T>
void head(const Shape& shape, const Embedding<T>& w, const int32_t* element, int64_t n, const T* sums, T* scratch, T* energies, T* of_sums) {
  const int64_t channels = shape.channels;
  in_tiles(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    T *hidden = scratch, *of_hidden = scratch + rows * channels;
    hidden_values<T, rows>(channels, w, sums + begin * channels, [&](int r) { return int64_t(element[begin + r]); }, hidden,
                           [&](int r, int64_t c, V<T> slope) { store(of_hidden + r * channels + c, slope * load(w.last.by_input + c)); });
    for (int r = 0; r < rows; ++r) {
      V<T> dot = all<T>(0);
      for (int64_t c = 0; c < channels; c += lanes<T>) dot += load(hidden + r * channels + c) * load(w.last.by_input + c);
      energies[begin + r] = sum_of<T>(dot) + w.last_bias[0];
    }
    if (!of_sums) return;
    dense<T, rows>(channels, of_hidden, w.first.by_output, nullptr,
                   [&](int r, int64_t c, V<T> sum) { store(of_sums + (begin + r) * channels + c, sum); });
  });
}

}  // namespace
}  // namespace spinconv::native
