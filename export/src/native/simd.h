// Vectors of a width that the including unit chooses (SPINCONV_VECTOR_BYTES), and the few functions of them that the model needs. Everything
// here has internal linkage: a unit compiled for one instruction set shares no function with another.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <type_traits>

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

/// To memory past the caches, for what will be read only after more than they hold; `to` must be aligned. Other threads see it after `streamed`.
template <class T>
SPINCONV_INLINE void stream(T* to, V<T> x) {
#ifdef __clang__
  __builtin_nontemporal_store(x, reinterpret_cast<V<T>*>(to));
#elif SPINCONV_VECTOR_BYTES == 64
  if constexpr (sizeof(T) == 4) __builtin_ia32_movntps512(to, x);
  else __builtin_ia32_movntpd512(to, x);
#elif defined(__AVX__)
  if constexpr (sizeof(T) == 4) __builtin_ia32_movntps256(to, x);
  else __builtin_ia32_movntpd256(to, x);
#else
  store(to, x);
#endif
}

SPINCONV_INLINE void streamed() {
#ifdef __AVX__
  __builtin_ia32_sfence();
#endif
}

/// Asks for what will soon be read: `n` numbers.
template <class T>
SPINCONV_INLINE void prefetch(const T* from, int64_t n) {
  for (int64_t k = 0; k < n; k += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(from + k);
}

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

/// x[from[0]], x[from[1]] ...
template <class T>
SPINCONV_INLINE V<T> shuffled(V<T> x, typename Simd<T>::I from) {
#ifdef __clang__
  V<T> y;
  for (int l = 0; l < lanes<T>; ++l) y[l] = x[from[l]];
  return y;
#else
  return __builtin_shuffle(x, from);
#endif
}

/// The same from two, x[0], x[1] ... y[0], y[1] ...
template <class T>
SPINCONV_INLINE V<T> shuffled(V<T> x, V<T> y, typename Simd<T>::I from) {
#ifdef __clang__
  V<T> z;
  for (int l = 0; l < lanes<T>; ++l) z[l] = from[l] < lanes<T> ? x[from[l]] : y[from[l] - lanes<T>];
  return z;
#else
  return __builtin_shuffle(x, y, from);
#endif
}

/// Some vectors side by side, as one number.
template <class T, int n>
struct Vectors {
  V<T> part[n] = {};

  SPINCONV_INLINE Vectors& operator+=(const Vectors& other) {
#pragma GCC unroll 4
    for (int k = 0; k < n; ++k) part[k] += other.part[k];
    return *this;
  }
  template <class Factor>
  SPINCONV_INLINE friend Vectors operator*(const Factor& factor, const Vectors& x) {
    Vectors y;
#pragma GCC unroll 4
    for (int k = 0; k < n; ++k) {
      if constexpr (std::is_same_v<Factor, T>) y.part[k] = factor * x.part[k];
      else y.part[k] = factor.part[k] * x.part[k];
    }
    return y;
  }
};

/// An array from which numbers are taken that stand for some channels: the simplest of those that some stages are templates over. One of numbers
/// with derivatives would have two parts, an array each.
template <class Element, int n_vectors>
struct ArrayOf {
  using T = std::remove_const_t<Element>;
  using Number = Vectors<T, n_vectors>;
  using Weight = Number;   // what numbers are multiplied by that has no derivative
  static constexpr int n_parts = 1;
  static constexpr int width = n_vectors * lanes<T>;

  Element* numbers;

  SPINCONV_INLINE Element* part(int) const { return numbers; }
  SPINCONV_INLINE Number get(int64_t at) const { return weight(numbers + at); }
  SPINCONV_INLINE static Weight weight(const T* from) {
    Number x;
#pragma GCC unroll 4
    for (int k = 0; k < n_vectors; ++k) x.part[k] = load(from + k * lanes<T>);
    return x;
  }
  SPINCONV_INLINE void put(int64_t at, const Number& x) const {
#pragma GCC unroll 4
    for (int k = 0; k < n_vectors; ++k) store<T>(numbers + at + k * lanes<T>, x.part[k]);
  }
  SPINCONV_INLINE void add(int64_t at, Number x) const {
    x += get(at);
    put(at, x);
  }
};

/// to[c][r] = from[r][c] for `rows` rows of `columns` numbers, of which both strides are multiples of a vector; rows that are added are zero.
template <class T>
SPINCONV_INLINE void transpose(const T* from, int64_t rows, int64_t columns, T* to, int64_t to_stride) {
  constexpr int n = lanes<T>;
  for (int64_t first = 0; first < to_stride; first += n)
    for (int64_t c = 0; c < columns; c += n) {
      V<T> x[n];
      for (int r = 0; r < n; ++r) x[r] = first + r < rows ? load(from + (first + r) * columns + c) : all<T>(0);
#pragma GCC unroll 4
      for (int bit = 1; bit < n; bit *= 2) {   // exchanges what is in the wrong half of two rows, bit by bit of their numbers
        typename Simd<T>::I lower, upper;
        for (int l = 0; l < n; ++l) lower[l] = l & bit ? n + (l ^ bit) : l, upper[l] = l & bit ? n + l : l ^ bit;
#pragma GCC unroll 16
        for (int r = 0; r < n; ++r) {
          if (r & bit) continue;
          const V<T> a = x[r], b = x[r + bit];
          x[r] = shuffled<T>(a, b, lower), x[r + bit] = shuffled<T>(a, b, upper);
        }
      }
#pragma GCC unroll 16
      for (int r = 0; r < n; ++r) store(to + (c + r) * to_stride + first, x[r]);
    }
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

/// Calls `run(Rows<n>)`, n from 1 to `most`.
template <int most, class Run>
SPINCONV_INLINE void with_count(int64_t n, Run&& run) {
  if constexpr (most > 0) {
    if (n == most) return run(Rows<most>());
    with_count<most - 1>(n, run);
  }
}

}  // namespace
}  // namespace spinconv::native
