// Functions of the distance that the network is shown, by pair of elements, from quintic Hermite splines; on the way back the derivative is the spline's own.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

/// The place of a distance in a table, and the weights of the six numbers at the knots around it.
template <class T>
struct Place {
  const T* knots;   // value, slope and curvature of the knot before, then of the one after
  T weights[6];
};

/// Where in the table a distance is; one beyond the end counts as the end.
template <class T>
SPINCONV_INLINE const T* interval(const Table<T>& table, int64_t channels, int32_t pair, T distance, T& part) {
  T x = distance * table.per_length;
  const T last = T(table.n_intervals);
  x = x < last ? x : last;
  int64_t n = int64_t(x);
  n = n < table.n_intervals ? n : table.n_intervals - 1;
  part = x - T(n);
  return table.knots + (pair * (table.n_intervals + 1) + n) * 3 * channels;
}

template <class T>
SPINCONV_INLINE Place<T> place_of_values(const Table<T>& table, int64_t channels, int32_t pair, T distance) {
  T t;
  const T* knots = interval(table, channels, pair, distance, t);
  const T s = 1 - t, t3 = t * t * t, s3 = s * s * s;
  return {knots,
          {s3 * (1 + 3 * t + 6 * t * t), s3 * t * (1 + 3 * t), T(0.5) * s3 * t * t, t3 * (1 + 3 * s + 6 * s * s), -t3 * s * (1 + 3 * s), T(0.5) * t3 * s * s}};
}

/// Weights of the derivative.
template <class T>
SPINCONV_INLINE Place<T> place_of_slopes(const Table<T>& table, int64_t channels, int32_t pair, T distance) {
  T t;
  const T* knots = interval(table, channels, pair, distance, t);
  const T s = 1 - t, h = table.per_length, ts2 = t * t * s * s;
  return {knots,
          {-30 * ts2 * h, s * s * (1 + 2 * t - 15 * t * t) * h, T(0.5) * s * s * t * (2 - 5 * t) * h, 30 * ts2 * h,
           t * t * (1 + 2 * s - 15 * s * s) * h, -T(0.5) * t * t * s * (2 - 5 * s) * h}};
}

/// Numbers of a table from channel c on.
template <class T>
SPINCONV_INLINE V<T> at(const Place<T>& place, int64_t channels, int64_t c) {
  V<T> sum = place.weights[0] * load(place.knots + c);
#pragma GCC unroll 6
  for (int n = 1; n < 6; ++n) sum += place.weights[n] * load(place.knots + n * channels + c);
  return sum;
}

template <class T>
void initial(const Shape& shape, const Table<T>& table, const Edges<T>& edges, int64_t first, int64_t n, T* messages) {
  for (int64_t e = first; e < first + n; ++e) {
    const auto place = place_of_values(table, shape.channels, edges.pair[e], edges.shown[e]);
    for (int64_t c = 0; c < shape.channels; c += lanes<T>) store(messages + e * shape.channels + c, at(place, shape.channels, c));
  }
}

template <class T>
void initial_back(const Shape& shape, const Table<T>& table, const Edges<T>& edges, int64_t first, int64_t n, const EdgeGradients<T>& of) {
  for (int64_t e = first; e < first + n; ++e) {
    const auto place = place_of_slopes(table, shape.channels, edges.pair[e], edges.shown[e]);
    V<T> sum = all<T>(0);
    for (int64_t c = 0; c < shape.channels; c += lanes<T>) sum += load(of.messages + e * shape.channels + c) * at(place, shape.channels, c);
    of.shown[e] += sum_of<T>(sum);
  }
}

}  // namespace
}  // namespace spinconv::native
