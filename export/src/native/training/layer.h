// A layer of a network, y = W a(x) + b with a(x) = x or silu(x) g[kind], of rows of numbers with `parts` parts.
//
// and back: dL/da = W^T dL/dy,   dL/dx = dL/da a'(x),   dL/dW = dL/dy a(x)^T,   dL/db = dL/dy,   dL/dg = dL/da silu(x).
// Nothing but x is kept of the forward pass.
// SPDX-License-Identifier: MIT
#pragma once

#include "number.h"
#include "training_kernels.h"

namespace spinconv::native {
namespace {

template <class T, int parts>
struct Activation {
  N<T, parts> value, slope;
};

/// silu(x), and silu'(x).
template <class T, int parts>
SPINCONV_INLINE Activation<T, parts> silu_of(const N<T, parts>& x) {
  const V<T> share = T(1) / (T(1) + exponential<T>(-x.value)), rest = T(1) - share, value = x.value * share, slope = share + value * rest;
  Activation<T, parts> made;
  made.value.value = value;
  made.slope.value = slope;
  if constexpr (parts == 2) {
    made.value.tangent = slope * x.tangent;
    made.slope.tangent = rest * (share + slope - value * share) * x.tangent;   // silu'' = s' (2 + x (1 - 2 s)) with s' = s (1 - s)
  }
  return made;
}

template <class T>
SPINCONV_INLINE V<T> factor_of(const Layer<T>& layer, Kinds kinds, int64_t n, int64_t c) {
  return layer.factors ? load(layer.factors + kinds[n] * layer.in + c) : all<T>(1);
}

/// y(row, c) = sum over k of x[row][k] matrix[k][c], panel by panel, of plain rows.
template <class T, int rows, class Then>
SPINCONV_INLINE void plain_product(int64_t n_in, int64_t in, int64_t out, const T* x, const T* matrix, Then&& then) {
  for (int64_t c = 0; c < out; c += panel<T>) {
    V<T> sums[rows][side_by_side] = {};
    add_product<T, rows, side_by_side>(sums, [&](int r, int64_t k) { return x[r * in + k]; }, matrix + c, out, n_in);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < side_by_side; ++v) then(r, c + v * lanes<T>, sums[r][v]);
  }
}

/// `scratch`: 12 * in numbers.
template <class T, int parts>
void layer(const Layer<T>& w, int64_t n, const T* in, Kinds kinds, T* scratch, T* out, bool adds) {
  in_number_tiles<parts>(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    const T* x = in + begin * parts * w.in;
    if (w.is_activated) {
      for (int r = 0; r < rows; ++r)
        for (int64_t c = 0; c < w.in; c += lanes<T>) {
          const int64_t place = r * parts * w.in + c;
          store_number<T, parts>(scratch + place, w.in, scaled(factor_of(w, kinds, begin + r, c), silu_of<T, parts>(load_number<T, parts>(x + place, w.in)).value));
        }
      x = scratch;
    }
    T* y = out + begin * parts * w.out;
    plain_product<T, rows * parts>(w.n_in, w.in, w.out, x, w.weight.by_input, [&](int r, int64_t c, V<T> sum) {
      if (r % parts == 0) sum += load(w.bias + c);
      T* to = y + r * w.out + c;
      store(to, adds ? load(to) + sum : sum);
    });
  });
}

/// gradients[k][c] += what the weight from input k to output c learns of n things; `inputs` are a(x).
template <class T>
SPINCONV_INLINE void learn_weight(const Layer<T>& w, int64_t n, const T* inputs, const T* of_out, T* gradients) {
  for (int64_t c = 0; c < w.out; c += panel<T>)
    in_tiles(w.n_in, [&](auto tile, int64_t first) {
      constexpr int rows = decltype(tile)::value;
      V<T> sums[rows][side_by_side];
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) sums[r][v] = load(gradients + (first + r) * w.out + c + v * lanes<T>);
      add_product<T, rows, side_by_side>(sums, [&](int r, int64_t k) { return inputs[(k ^ 1) * w.in + first + r]; }, of_out + c, w.out, 2 * n);
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) store(gradients + (first + r) * w.out + c + v * lanes<T>, sums[r][v]);
    });
}

template <class T>
SPINCONV_INLINE void learn_bias(int64_t width, int64_t n, const T* of_out, T* gradients) {
  for (int64_t c = 0; c < width; c += lanes<T>) {
    V<T> sum = load(gradients + c);
    for (int64_t k = 0; k < n; ++k) sum += load(of_out + (2 * k + 1) * width + c);
    store(gradients + c, sum);
  }
}

/// `of_in` is set or added to. `scratch`: n * parts * in numbers. `gradients` are of numbers with a derivative alone.
template <class T, int parts>
void layer_back(const Layer<T>& w, int64_t n, const T* in, Kinds kinds, const T* of_out, T* scratch, T* of_in, bool adds, const LayerGradients<T>& gradients) {
  in_number_tiles<parts>(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    const int64_t first = begin * parts * w.in;
    T* of_a = scratch + first;   // until a(x) takes its place
    plain_product<T, rows * parts>(w.out, w.out, w.in, of_out + begin * parts * w.out, w.weight.by_output,
                                   [&](int r, int64_t c, V<T> sum) { store(of_a + r * w.in + c, sum); });
    for (int r = 0; r < rows; ++r)
      for (int64_t c = 0; c < w.in; c += lanes<T>) {
        const int64_t place = r * parts * w.in + c;
        N<T, parts> of = load_number<T, parts>(of_a + place, w.in);
        if (w.is_activated) {
          const auto a = silu_of<T, parts>(load_number<T, parts>(in + first + place, w.in));
          const V<T> factor = factor_of(w, kinds, begin + r, c);
          if constexpr (parts == 2) {
            if (gradients.factors) add_to(gradients.factors + kinds[begin + r] * w.in + c, learned(a.value, of));
            store_number<T, parts>(of_a + place, w.in, scaled(factor, a.value));
          }
          of = scaled(factor, a.slope) * of;
        }
        if (adds) of += load_number<T, parts>(of_in + first + place, w.in);
        store_number<T, parts>(of_in + first + place, w.in, of);
      }
  });
  if constexpr (parts == 2) {
    learn_weight(w, n, w.is_activated ? scratch : in, of_out, gradients.weight);
    learn_bias(w.out, n, of_out, gradients.bias);
  }
}

}  // namespace
}  // namespace spinconv::native
