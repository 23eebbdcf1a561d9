// The stages between edges and atoms of numbers with a derivative along a direction, v, in which the edge vectors move; forward, and back to
// messages, moments, polynomials and weights. The positions themselves are given, so nothing is passed back to the geometry.
//
//   d' = n . v,   n' = (v - n d') / d,   u' = u'(d) d',   Y' = grad Y . n'
// SPDX-License-Identifier: MIT
#pragma once

#include "../geometry.h"
#include "layer.h"
#include "number.h"
#include "training_kernels.h"

namespace spinconv::native {
namespace {

template <class T>
SPINCONV_INLINE Number<T, 2> envelope_of(const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t e) { return {edges.envelope[e], tangents.envelope[e]}; }

/// A harmonic of an edge; a number without derivative where nothing moves.
template <class T, int parts>
SPINCONV_INLINE Number<T, parts> harmonic_of(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t e, int64_t lm) {
  Number<T, parts> y{edges.harmonics[e * shape.high + lm]};
  if constexpr (parts == 2) y.tangent = tangents.harmonics[e * shape.high + lm];
  return y;
}

template <class T>
void geometry_tangents(const Shape& shape, const Polynomials<T>& p, const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t begin, int64_t count) {
  constexpr int wide = lanes<T>;
  V<T> values[most_monomials], of_values[most_monomials];
  for (int64_t first = begin; first < begin + count; first += wide) {
    const int64_t filled = first + wide <= begin + count ? wide : begin + count - first;
    V<T> n[3], v[3], along = all<T>(0);
    for (int c = 0; c < 3; ++c) n[c] = load(edges.directions + c * edges.stride + first), v[c] = load(tangents.vectors + c * edges.stride + first), along += n[c] * v[c];
    const V<T> inverse = load(edges.inverse_distances + first);
    const V<T>* monomial = monomials<T>(p, n, values);
    V<T>* of_monomial = of_values + (monomial - values);
    of_values[0] = all<T>(0);
    for (int c = 0; c < 3; ++c) of_values[c + 1] = (v[c] - n[c] * along) * inverse;
    tangents_of_monomials<T>(p, values, of_values);
    store(tangents.shown + first, load(edges.shown_slope + first) * along);
    store(tangents.envelope + first, load(edges.envelope_slope + first) * along);
    for (int64_t h = 0; h < shape.n_high; ++h) {
      V<T> y = all<T>(0);
      for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) y += p.coefficient[k] * of_monomial[p.monomial[k]];
      for (int64_t l = 0; l < filled; ++l) tangents.harmonics[(first + l) * shape.high + h] = y[l];
    }
  }
}

/// made[lm] = factor sum over n edges of Y_edge[lm] row(edge), for the first `n_rows` harmonics: `edge(k)` is the k-th, `row(k, c)` its numbers from
/// channel c on.
template <class T, class Edge, class Row>
SPINCONV_INLINE void onto_harmonics(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t n_rows, int64_t n, T factor, Edge&& edge, Row&& row,
                                    T* made) {
  for (int64_t c = 0; c < shape.channels; c += panel<T>)
    in_number_tiles<2>(n_rows, [&](auto tile, int64_t lm) {
      constexpr int rows = decltype(tile)::value;
      N<T, 2> sums[rows][side_by_side];
      add_products<T, 2, rows>(
          sums, n, [&](int r, int64_t k) { return harmonic_of<T, 2>(shape, edges, tangents, edge(k), lm + r); }, [&](int64_t k, int v) { return row(k, c + v * lanes<T>); });
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v)
          store_number<T, 2>(made + (lm + r) * shape.channels + c + v * lanes<T>, n_rows * shape.channels, scaled(factor, sums[r][v]));
    });
}

template <class T>
void moments_of_numbers(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, const int32_t* into, int64_t n, T factor, const T* messages,
                        T* moments) {
  const auto sent = [&](int64_t k, int64_t c) {
    return envelope_of(edges, tangents, into[k]) * load_number<T, 2>(messages + 2 * into[k] * shape.channels + c, shape.channels);
  };
  onto_harmonics(shape, edges, tangents, shape.n_low, n, factor, [&](int64_t k) { return into[k]; }, sent, moments);
}

/// Adds to what is passed back to the messages into an atom.
template <class T>
void moments_of_numbers_back(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, const int32_t* into, int64_t n, T factor, const T* of_moments,
                             T* of_messages) {
  const int64_t channels = shape.channels;
  in_number_tiles<2>(n, [&](auto tile, int64_t first) {
    constexpr int rows = decltype(tile)::value;
    for (int64_t c = 0; c < channels; c += panel<T>) {
      N<T, 2> sums[rows][side_by_side];
      add_products<T, 2, rows>(
          sums, shape.n_low, [&](int r, int64_t lm) { return harmonic_of<T, 2>(shape, edges, tangents, into[first + r], lm); },
          [&](int64_t lm, int v) { return load_number<T, 2>(of_moments + lm * channels + c + v * lanes<T>, shape.n_low * channels); });
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) {
          T* to = of_messages + 2 * int64_t(into[first + r]) * channels + c + v * lanes<T>;
          store_number<T, 2>(to, channels, load_number<T, 2>(to, channels) + scaled(factor, envelope_of(edges, tangents, into[first + r]) * sums[r][v]));
        }
    }
  });
}

template <class T>
void sums_of_numbers(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, const int32_t* into, int64_t n, T factor, const T* messages, T* sums) {
  for (int64_t c = 0; c < shape.channels; c += lanes<T>) {
    N<T, 2> sum;
    for (int64_t k = 0; k < n; ++k) sum += envelope_of(edges, tangents, into[k]) * load_number<T, 2>(messages + 2 * into[k] * shape.channels + c, shape.channels);
    store_number<T, 2>(sums + c, shape.channels, scaled(factor, sum));
  }
}

/// Sets what is passed back to the messages into an atom.
template <class T>
void sums_of_numbers_back(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, const int32_t* into, int64_t n, T factor, const T* of_sums,
                          T* of_messages) {
  for (int64_t k = 0; k < n; ++k)
    for (int64_t c = 0; c < shape.channels; c += lanes<T>)
      store_number<T, 2>(of_messages + 2 * into[k] * shape.channels + c, shape.channels,
                         scaled(factor, envelope_of(edges, tangents, into[k]) * load_number<T, 2>(of_sums + c, shape.channels)));
}

/// bias + sum_LM Y_LM P_LM of the edges of one sender, before silu.
template <class T, int parts>
void spin_of_numbers(const Shape& shape, const T* bias, const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t first, int64_t n, const T* polynomial,
                     T* responses) {
  const int64_t channels = shape.channels;
  in_number_tiles<parts>(n, [&](auto tile, int64_t begin) {
    constexpr int rows = decltype(tile)::value;
    for (int64_t c = 0; c < channels; c += panel<T>) {
      N<T, parts> sums[rows][side_by_side];
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) sums[r][v].value = load(bias + c + v * lanes<T>);
      add_products<T, parts, rows>(
          sums, shape.n_high, [&](int r, int64_t lm) { return harmonic_of<T, parts>(shape, edges, tangents, first + begin + r, lm); },
          [&](int64_t lm, int v) { return load_number<T, parts>(polynomial + lm * channels + c + v * lanes<T>, shape.n_high * channels); });
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) store_number<T, parts>(responses + parts * (begin + r) * channels + c + v * lanes<T>, channels, sums[r][v]);
    }
  });
}

template <class T>
void spin_of_numbers_back(const Shape& shape, const Edges<T>& edges, const EdgeTangents<T>& tangents, int64_t first, int64_t n, const T* of_responses, T* of_polynomial,
                          T* of_bias) {
  const auto passed = [&](int64_t k, int64_t c) { return load_number<T, 2>(of_responses + 2 * k * shape.channels + c, shape.channels); };
  onto_harmonics(shape, edges, tangents, shape.n_high, n, T(1), [&](int64_t k) { return first + k; }, passed, of_polynomial);
  learn_bias(shape.channels, n, of_responses, of_bias);
}

}  // namespace
}  // namespace spinconv::native
