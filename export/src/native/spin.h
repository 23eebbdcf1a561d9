// The spin convolution of the edges that an atom sends, seen along them: h_e = silu(bias + sum_LM Y_e[LM] P[LM]).
//
// and back, with s_e = dE/dh_e silu'(...):   dE/dY_e[LM] += s_e . P[LM],   dE/dP[LM] = sum_e Y_e[LM] s_e.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

template <class T>
SPINCONV_INLINE T* kept_row(const Shape& shape, const Kept<T>& kept, int64_t edge, int which) { return kept.rows + (4 * (edge - kept.first) + which) * shape.channels; }

template <class T>
SPINCONV_INLINE void keep(const Shape& shape, const Kept<T>& kept, int64_t edge, int which, int64_t c, V<T> slope) {
  if (!kept.rows) return;
  T* to = kept_row(shape, kept, edge, which) + c;
  if (kept.past_caches) stream(to, slope);
  else store(to, slope);
}

template <class T>
void spin(const Shape& shape, const Block<T>& block, const Edges<T>& edges, int64_t first, int64_t n, const T* polynomial, T* responses,
          const Kept<T>& kept) {
  const int64_t channels = shape.channels;
  in_tiles(n, [&](auto tile, int64_t k) {
    constexpr int rows = decltype(tile)::value;
    const T* y = edges.harmonics + (first + k) * shape.high;
    for (int64_t c = 0; c < channels; c += panel<T>) {
      V<T> sums[rows][side_by_side];
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) sums[r][v] = load(block.bias + c + v * lanes<T>);
      add_product<T, rows, side_by_side>(sums, [&](int r, int64_t lm) { return y[r * shape.high + lm]; }, polynomial + c, channels, shape.n_high);
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) {
          const auto [value, slope] = silu<T>(sums[r][v]);
          store(responses + (k + r) * channels + c + v * lanes<T>, value);
          keep(shape, kept, first + k + r, 0, c + v * lanes<T>, slope);
        }
    }
  });
}

/// Adds to dE/dY, or sets it; `scratch`: channels * high numbers. `of_responses` are the s_e.
template <class T>
void spin_back(const Shape& shape, int64_t first, int64_t n, const T* polynomial, const T* of_responses, T* scratch,
               const EdgeGradients<T>& of, bool adds) {
  const int64_t channels = shape.channels;
  transpose(polynomial, shape.n_high, channels, scratch, shape.high);
  in_tiles(n, [&](auto tile, int64_t k) {
    constexpr int rows = decltype(tile)::value;
    for (int64_t lm = 0; lm < shape.high; lm += panel<T>) {
      V<T> sums[rows][side_by_side] = {};
      add_product<T, rows, side_by_side>(sums, [&](int r, int64_t c) { return of_responses[(k + r) * channels + c]; }, scratch + lm, shape.high, channels);
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) {
          T* to = of.harmonics + (first + k + r) * shape.high + lm + v * lanes<T>;
          store(to, adds ? load(to) + sums[r][v] : sums[r][v]);
        }
    }
  });
}

template <class T>
void spin_back_polynomial(const Shape& shape, const Edges<T>& edges, int64_t first, int64_t n, const T* of_responses, T* of_polynomial) {
  const T* y = edges.harmonics + first * shape.high;
  for (int64_t c = 0; c < shape.channels; c += panel<T>)
    in_tiles(shape.n_high, [&](auto tile, int64_t lm) {
      constexpr int rows = decltype(tile)::value;
      V<T> sums[rows][side_by_side] = {};
      add_product<T, rows, side_by_side>(sums, [&](int r, int64_t e) { return y[e * shape.high + lm + r]; }, of_responses + c, shape.channels, n);
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) store(of_polynomial + (lm + r) * shape.channels + c + v * lanes<T>, sums[r][v]);
    });
}

}  // namespace
}  // namespace spinconv::native
