// Vectors of a width that the including unit chooses (SPINCONV_VECTOR_BYTES), and the few functions of them that the model needs. Everything
// here has internal linkage: a unit compiled for one instruction set shares no function with another.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#define SPINCONV_INLINE [[gnu::always_inline]] inline

namespace spinconv::native {
namespace {

template <class T>
struct Lanes;

template <>
struct Lanes<float> {
  using Int = int32_t;
  static constexpr int mantissa = 23;
  static constexpr float round = 12582912.0f;   // 1.5 * 2^23: added and taken off, it leaves the nearest whole number
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float least = -87.0f, most = 88.0f;   // arguments of exp whose results are normal numbers
  static constexpr int n_terms = 7;                      // of the series of exp on [-ln2 / 2, ln2 / 2]
};

template <>
struct Lanes<double> {
  using Int = int64_t;
  static constexpr int mantissa = 52;
  static constexpr double round = 6755399441055744.0;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr double least = -708.0, most = 709.0;
  static constexpr int n_terms = 13;
};

template <class T>
struct Simd {
  using Int = typename Lanes<T>::Int;
  static constexpr int lanes = SPINCONV_VECTOR_BYTES / sizeof(T);
  typedef T V __attribute__((vector_size(SPINCONV_VECTOR_BYTES)));
  typedef Int I __attribute__((vector_size(SPINCONV_VECTOR_BYTES)));
  typedef T Unaligned __attribute__((vector_size(SPINCONV_VECTOR_BYTES), aligned(alignof(T)), may_alias));
};

template <class T>
using V = typename Simd<T>::V;

template <class T>
constexpr int lanes = Simd<T>::lanes;

template <class T>
SPINCONV_INLINE V<T> load(const T* from) { return *reinterpret_cast<const typename Simd<T>::Unaligned*>(from); }

template <class T>
SPINCONV_INLINE void store(T* to, V<T> x) { *reinterpret_cast<typename Simd<T>::Unaligned*>(to) = x; }

template <class T>
SPINCONV_INLINE V<T> all(T x) { return x - V<T>{}; }

template <class T>
SPINCONV_INLINE T sum_of(V<T> x) {
  T sum = 0;
  for (int n = 0; n < lanes<T>; ++n) sum += x[n];
  return sum;
}

/// e^x, to the precision of T, between the smallest and the largest normal number.
template <class T>
SPINCONV_INLINE V<T> exponential(V<T> x) {
  using L = Lanes<T>;
  using I = typename Simd<T>::I;
  x = x < L::least ? all<T>(L::least) : x;
  x = x > L::most ? all<T>(L::most) : x;
  const V<T> shifted = x * T(1.4426950408889634) + L::round;
  const V<T> n = shifted - L::round;
  const V<T> rest = (x - n * L::ln2_high) - n * L::ln2_low;
  V<T> sum = all<T>(1);
#pragma GCC unroll 16
  for (int k = L::n_terms; k > 0; --k) sum = sum * rest * (T(1) / T(k)) + T(1);
  return (V<T>)((I)sum + ((I)shifted << L::mantissa));
}

template <class T>
struct Silu {
  V<T> value, slope;
};

/// x / (1 + e^-x), and its derivative.
template <class T>
SPINCONV_INLINE Silu<T> silu(V<T> x) {
  const V<T> share = T(1) / (T(1) + exponential<T>(-x));
  const V<T> value = x * share;
  return {value, share + value * (T(1) - share)};
}

/// sums[r][v] += sum_k x(r, k) rows[k][v]: a tile of rows and of vectors side by side, which stays in registers.
template <class T, int rows, int vectors, class X>
SPINCONV_INLINE void add_product(V<T> (&sums)[rows][vectors], X&& x, const T* matrix, int64_t stride, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    V<T> row[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) row[v] = load(matrix + k * stride + v * lanes<T>);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const T factor = x(r, k);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sums[r][v] += factor * row[v];
    }
  }
}

constexpr int side_by_side = 2;   // vectors of a tile

template <class T>
constexpr int panel = side_by_side * lanes<T>;   // numbers

template <int n>
struct Rows {
  static constexpr int value = n;
};

/// Calls `run(Rows<r>, first)` until n rows are done, by as many at a time as it has registers for.
template <class Run>
SPINCONV_INLINE void in_tiles(int64_t n, Run&& run) {
  constexpr int most = SPINCONV_VECTOR_REGISTERS >= 32 ? 12 : 6;
  int64_t first = 0;
  for (; first + most <= n; first += most) run(Rows<most>(), first);
  if constexpr (most > 8) {
    if (first + 8 <= n) run(Rows<8>(), first), first += 8;
  }
  if (first + 4 <= n) run(Rows<4>(), first), first += 4;
  if (first + 2 <= n) run(Rows<2>(), first), first += 2;
  if (first < n) run(Rows<1>(), first), first += 1;
}

}  // namespace
}  // namespace spinconv::native
