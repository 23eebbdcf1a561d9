// Numbers that carry one derivative: `parts` is 1 for plain numbers, 2 for a value and its tangent, what it changes by along a direction in
// which the positions move. Products follow the product rule, so that the same text computes an energy and its derivative along that direction.
//
// What is passed back carries one too: of E, the value; and in the tangent what the loss ebar E + dE/dv says (training_step.h). Products obey the
// same rule on the way back. A row of numbers is `parts` rows of plain ones, the tangents after the values.
// SPDX-License-Identifier: MIT
#pragma once

#include "../simd.h"

namespace spinconv::native {
namespace {

template <class X, int parts>
struct Number;

template <class X>
struct Number<X, 1> {
  X value{};
};

template <class X>
struct Number<X, 2> {
  X value{}, tangent{};
};

/// A vector of them.
template <class T, int parts>
using N = Number<V<T>, parts>;

template <class X, int parts>
SPINCONV_INLINE Number<X, parts> operator+(Number<X, parts> a, const Number<X, parts>& b) {
  a.value += b.value;
  if constexpr (parts == 2) a.tangent += b.tangent;
  return a;
}

template <class X, int parts>
SPINCONV_INLINE void operator+=(Number<X, parts>& a, const Number<X, parts>& b) { a = a + b; }

template <class X, class Y, int parts>
SPINCONV_INLINE Number<Y, parts> operator*(const Number<X, parts>& a, const Number<Y, parts>& b) {
  Number<Y, parts> c;
  c.value = a.value * b.value;
  if constexpr (parts == 2) c.tangent = a.value * b.tangent + a.tangent * b.value;
  return c;
}

/// By a plain number, or a vector of them.
template <class X, class Y, int parts>
SPINCONV_INLINE Number<Y, parts> scaled(X a, Number<Y, parts> b) {
  b.value *= a;
  if constexpr (parts == 2) b.tangent *= a;
  return b;
}

template <class Y>
SPINCONV_INLINE Number<Y, 2> operator*(float a, const Number<Y, 2>& b) { return scaled(a, b); }
template <class Y>
SPINCONV_INLINE Number<Y, 2> operator*(double a, const Number<Y, 2>& b) { return scaled(a, b); }
template <class Y>
SPINCONV_INLINE Number<Y, 2> operator*(Y a, const Number<Y, 2>& b) { return scaled(a, b); }

/// What a weight learns from its input and from what is passed back to its output.
template <class X, class Y>
SPINCONV_INLINE Y learned(const Number<X, 2>& input, const Number<Y, 2>& of_output) { return input.value * of_output.tangent + input.tangent * of_output.value; }

template <class T, int parts>
SPINCONV_INLINE N<T, parts> load_number(const T* from, int64_t row) {
  N<T, parts> n;
  n.value = load(from);
  if constexpr (parts == 2) n.tangent = load(from + row);
  return n;
}

template <class T, int parts>
SPINCONV_INLINE void store_number(T* to, int64_t row, const N<T, parts>& n) {
  store(to, n.value);
  if constexpr (parts == 2) store(to + row, n.tangent);
}

/// An array (simd.h, ArrayOf) of such numbers, whose tangents stand `tangents` numbers after the values; for a vector of channels.
template <class Element>
struct ArrayOfNumbers {
  using T = std::remove_const_t<Element>;
  using Number = N<T, 2>;
  using Weight = V<T>;
  static constexpr int n_parts = 2;
  static constexpr int width = lanes<T>;

  Element* numbers;
  int64_t tangents;

  SPINCONV_INLINE Element* part(int which) const { return numbers + which * tangents; }
  SPINCONV_INLINE Number get(int64_t at) const { return load_number<T, 2>(numbers + at, tangents); }
  SPINCONV_INLINE static Weight weight(const T* from) { return load(from); }
  SPINCONV_INLINE void put(int64_t at, const Number& x) const { store_number<T, 2>(numbers + at, tangents, x); }
  SPINCONV_INLINE void add(int64_t at, const Number& x) const { put(at, get(at) + x); }
};

template <class T>
SPINCONV_INLINE void add_to(T* to, V<T> x) { store(to, load(to) + x); }

/// sums[r][v] += sum_k x(r, k) y(k)[v]: a tile which stays in registers.
template <class T, int parts, int rows, class X, class Y>
SPINCONV_INLINE void add_products(N<T, parts> (&sums)[rows][side_by_side], int64_t n, X&& x, Y&& y) {
  for (int64_t k = 0; k < n; ++k) {
    N<T, parts> row[side_by_side];
#pragma GCC unroll 4
    for (int v = 0; v < side_by_side; ++v) row[v] = y(k, v);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const Number<T, parts> factor = x(r, k);
#pragma GCC unroll 4
      for (int v = 0; v < side_by_side; ++v) sums[r][v] += factor * row[v];
    }
  }
}

/// `in_tiles` of rows of such numbers.
template <int parts, class Run>
SPINCONV_INLINE void in_number_tiles(int64_t n, Run&& run) {
  constexpr int most = (SPINCONV_VECTOR_REGISTERS >= 32 ? 12 : 6) / parts;
  int64_t first = 0;
  for (; first + most <= n; first += most) run(Rows<most>(), first);
  if constexpr (most > 8) {
    if (first + 8 <= n) run(Rows<8>(), first), first += 8;
  }
  if constexpr (most > 4) {
    if (first + 4 <= n) run(Rows<4>(), first), first += 4;
  }
  if (first + 2 <= n) run(Rows<2>(), first), first += 2;
  if (first < n) run(Rows<1>(), first), first += 1;
}

}  // namespace
}  // namespace spinconv::native
