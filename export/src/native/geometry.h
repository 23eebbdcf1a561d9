// Lengths, directions, envelopes and harmonics of edges; a vector holds as many edges.
//
//   d = |r|, n = r / d, u(d) = 1 - 28 x^6 + 48 x^7 - 21 x^8 with x = d / cutoff (1 beyond), Y_LM(n) = sum of coefficients times monomials of n,
//   and the distance that the network is shown, held(d) (potential/harmonic/equations.py)
//
// and back: with g = sum dE/dY_LM grad Y_LM, the gradient is (g - n (n . g)) / d + n (dE/du u' + dE/dheld held'). Where d = 0, n and the
// gradient are zero.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

/// Monomials of all levels, each level after the one before.
template <class T>
SPINCONV_INLINE const V<T>* monomials(const Polynomials<T>& p, const V<T> (&n)[3], V<T> (&values)[most_monomials]) {
  values[0] = all<T>(1);
  for (int c = 0; c < 3; ++c) values[c + 1] = n[c];
  V<T>*from = values, *to = values + 4;
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) {
    for (int32_t k = 0; k < p.level_sizes[level]; ++k, factors += 2) to[k] = from[factors[0]] * from[factors[1]];
    from = to;
    to += p.level_sizes[level];
  }
  return from;
}

/// From the tangents of 1, x, y, z, which come first in `of_values`, to those of all levels.
template <class T>
SPINCONV_INLINE void tangents_of_monomials(const Polynomials<T>& p, const V<T> (&values)[most_monomials], V<T> (&of_values)[most_monomials]) {
  const V<T>* from = values;
  V<T>*of_from = of_values, *of_to = of_values + 4;
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) {
    for (int32_t k = 0; k < p.level_sizes[level]; ++k, factors += 2)
      of_to[k] = of_from[factors[0]] * from[factors[1]] + from[factors[0]] * of_from[factors[1]];
    from += level == 0 ? 4 : p.level_sizes[level - 1];
    of_from = of_to;
    of_to += p.level_sizes[level];
  }
}

/// From derivatives with respect to the last level to those with respect to 1, x, y, z.
template <class T>
SPINCONV_INLINE void back_to_directions(const Polynomials<T>& p, const V<T> (&values)[most_monomials], V<T> (&of_values)[most_monomials]) {
  int64_t begin[8] = {0, 4};
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) begin[level + 2] = begin[level + 1] + p.level_sizes[level], factors += 2 * p.level_sizes[level];
  for (int64_t level = p.n_levels; level-- > 0;) {
    factors -= 2 * p.level_sizes[level];
    const V<T>* from = values + begin[level];
    V<T>* of_from = of_values + begin[level];
    const V<T>* of_to = of_values + begin[level + 1];
    for (int32_t k = 0; k < p.level_sizes[level]; ++k) {
      const int32_t a = factors[2 * k], b = factors[2 * k + 1];
      of_from[a] += of_to[k] * from[b];
      of_from[b] += of_to[k] * from[a];
    }
  }
}

/// `inner` (Å), by pair: below it the distance slows down, and stands still from 0.7 of it on.
template <class T>
SPINCONV_INLINE void hold(T d, T inner, T& shown, T& slope) {
  shown = d, slope = 1;
  if (d >= inner) return;
  const T x = d > T(0.7) * inner ? (d / inner - T(0.7)) / T(0.3) : T(0);
  shown = inner * (T(0.85) + T(0.3) * x * x * x * (T(1) - T(0.5) * x));
  slope = x * x * (T(3) - T(2) * x);
}

template <class T>
void geometry(const Shape& shape, const Polynomials<T>& p, const Pairs<T>& pairs, const Edges<T>& edges, int64_t begin, int64_t count) {
  constexpr int wide = lanes<T>;
  V<T> values[most_monomials];
  for (int64_t first = begin; first < begin + count; first += wide) {
    V<T> n[3], squared = all<T>(0);
    for (int c = 0; c < 3; ++c) n[c] = load(edges.vectors + c * edges.stride + first), squared += n[c] * n[c];
    V<T> d;
    for (int l = 0; l < wide; ++l) d[l] = sizeof(T) == 4 ? T(__builtin_sqrtf(float(squared[l]))) : T(__builtin_sqrt(double(squared[l])));
    const V<T> inverse = d == T(0) ? all<T>(0) : T(1) / d;
    for (int c = 0; c < 3; ++c) n[c] *= inverse, store(edges.directions + c * edges.stride + first, n[c]);
    store(edges.distances + first, d);
    store(edges.inverse_distances + first, inverse);
    const int64_t filled = first + wide <= begin + count ? wide : begin + count - first;
    V<T> per_cutoff = all<T>(0);
    for (int64_t l = 0; l < filled; ++l) {
      const int64_t e = first + l, pair = edges.pair[e];
      per_cutoff[l] = pairs.per_cutoff[pair];
      hold(edges.distances[e], pairs.inner[pair], edges.shown[e], edges.shown_slope[e]);
    }
    V<T> x = d * per_cutoff;
    x = x > T(1) ? all<T>(1) : x;
    const V<T> x2 = x * x, x5 = x2 * x2 * x;
    store(edges.envelope + first, T(1) + x5 * x * (T(-28) + x * (T(48) - T(21) * x)));
    store(edges.envelope_slope + first, T(-168) * per_cutoff * x5 * (T(1) - x) * (T(1) - x));
    const V<T>* monomial = monomials<T>(p, n, values);
    for (int64_t h = 0; h < shape.n_high; ++h) {
      V<T> y = all<T>(0);
      for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) y += p.coefficient[k] * monomial[p.monomial[k]];
      for (int64_t l = 0; l < filled; ++l) edges.harmonics[(first + l) * shape.high + h] = y[l];
    }
  }
}

template <class T>
void geometry_back(const Shape& shape, const Polynomials<T>& p, const Edges<T>& edges, const EdgeGradients<T>& of, int64_t begin, int64_t count,
                   double* gradients) {
  constexpr int wide = lanes<T>;
  V<T> values[most_monomials], of_values[most_monomials];
  for (int64_t first = begin; first < begin + count; first += wide) {
    const int64_t filled = first + wide <= begin + count ? wide : begin + count - first;
    V<T> n[3];
    for (int c = 0; c < 3; ++c) n[c] = load(edges.directions + c * edges.stride + first);
    const V<T>* monomial = monomials<T>(p, n, values);
    const int64_t n_values = (monomial - values) + (p.n_levels > 0 ? p.level_sizes[p.n_levels - 1] : 4);
    for (int64_t k = 0; k < n_values; ++k) of_values[k] = all<T>(0);
    V<T>* of_monomial = of_values + (monomial - values);
    for (int64_t h = 0; h < shape.n_high; ++h) {
      V<T> of_y = all<T>(0);
      for (int64_t l = 0; l < filled; ++l) of_y[l] = of.harmonics[(first + l) * shape.high + h];
      for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) of_monomial[p.monomial[k]] += p.coefficient[k] * of_y;
    }
    back_to_directions<T>(p, values, of_values);
    const V<T> inverse = load(edges.inverse_distances + first);
    const V<T> slope = load(of.shown + first) * load(edges.shown_slope + first) + load(of.envelope + first) * load(edges.envelope_slope + first);
    V<T> along = all<T>(0);
    for (int c = 0; c < 3; ++c) along += n[c] * of_values[c + 1];
    for (int c = 0; c < 3; ++c) {
      const V<T> g = (of_values[c + 1] - n[c] * along) * inverse + n[c] * slope;
      for (int64_t l = 0; l < filled; ++l) gradients[3 * (first + l) + c] = double(g[l]);
    }
  }
}

}  // namespace
}  // namespace spinconv::native
