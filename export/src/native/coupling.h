// From the moments of an atom to its polynomial on the sphere (potential/harmonic/equations.py, pooled_polynomial): its ring responses
// (ring_responses.h), and
//
//   P_LM[c] = sum_r K_LM,r own_r[c] + sum_{a <= b} K_LM,ab (own_a partner_b + own_b partner_a)[c]
//
// and back, with G_ab = sum_LM K_LM,ab dE/dP_LM:   dE/down_a += G_ab partner_b,   dE/dpartner_a += G_ab own_b,   and with a and b exchanged.
//
// The numbers K are constants of the model (ring_couplings.h). Products that have the same harmonics stand together, as a dense block whose
// sums stay in registers. The arrays' numbers are of any kind that can be added, multiplied, and multiplied by a T.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "ring_responses.h"
#include "simd.h"

namespace spinconv::native {
namespace {

/// The polynomial of the channels from c on, from their ring responses.
template <class T, class Array>
SPINCONV_INLINE void couple(const Shape& shape, const Couplings<T>& k, int64_t c, const Array& responses, const Array& polynomial) {
  using N = typename Array::Number;
  constexpr int64_t partner = Array::width, row = 2 * partner;
  for (int64_t h = 0; h < shape.n_high; ++h) polynomial.put(h * shape.channels + c, N{});
  for (int64_t n = 0; n < k.n_linear; ++n) polynomial.add(k.linear[n].harmonic * shape.channels + c, k.linear[n].value * responses.get(k.linear[n].row * row));
  for (int64_t b = 0; b < k.n_blocks; ++b)
    with_count<most_coupled>(k.blocks[b].n_harmonics, [&](auto count) {
      constexpr int n_harmonics = decltype(count)::value;
      const auto block = k.blocks[b];
      N sums[n_harmonics] = {};
      const T* values = block.values;
      for (int32_t n = 0; n < block.n_products; ++n, values += n_harmonics) {
        const int64_t a = block.products[n].a * row, b = block.products[n].b * row;
        N product = responses.get(a) * responses.get(b + partner);
        product += responses.get(b) * responses.get(a + partner);
#pragma GCC unroll 16
        for (int h = 0; h < n_harmonics; ++h) sums[h] += values[h] * product;
      }
#pragma GCC unroll 16
      for (int h = 0; h < n_harmonics; ++h) polynomial.add(block.harmonics[h] * shape.channels + c, sums[h]);
    });
}

/// G_ab of all products, each at its place.
template <class T, class Array, class Polynomial>
SPINCONV_INLINE void products_back(const Shape& shape, const Couplings<T>& k, int64_t c, const Polynomial& of_polynomial, const Array& of_products) {
  using N = typename Array::Number;
  for (int64_t b = 0; b < k.n_blocks; ++b)
    with_count<most_coupled>(k.blocks[b].n_harmonics, [&](auto count) {
      constexpr int n_harmonics = decltype(count)::value;
      const auto block = k.blocks[b];
      N of_harmonics[n_harmonics];
#pragma GCC unroll 16
      for (int h = 0; h < n_harmonics; ++h) of_harmonics[h] = of_polynomial.get(block.harmonics[h] * shape.channels + c);
      const T* values = block.values;
      for (int32_t n = 0; n < block.n_products; ++n, values += n_harmonics) {
        N sum = values[0] * of_harmonics[0];
#pragma GCC unroll 16
        for (int h = 1; h < n_harmonics; ++h) sum += values[h] * of_harmonics[h];
        of_products.put(block.products[n].place * Array::width, sum);
      }
    });
}

/// To `n_some` rows of ring responses of an order m, from the a-th of its n `rows` on. G is a symmetric matrix, of which the upper triangle is
/// there, row by row from `first` on; its diagonal was halved.
template <int n_some, class T, class Array>
SPINCONV_INLINE void some_rows_back(const int32_t* rows, int64_t n, int64_t a, int64_t first, const Array& of_products, const Array& responses,
                                    const Array& of_responses) {
  using N = typename Array::Number;
  constexpr int64_t partner = Array::width, row = 2 * partner;
  N of_own[n_some] = {}, of_partner[n_some] = {};
  const auto place = [&](int64_t i, int64_t j) { return (first + i * n - i * (i + 1) / 2 + j) * Array::width; };   // i <= j
  const auto take = [&](int64_t j, auto&& g_of) {
    const N own_j = responses.get(rows[j] * row), partner_j = responses.get(rows[j] * row + partner);
#pragma GCC unroll 4
    for (int i = 0; i < n_some; ++i) {
      const N g = g_of(i);
      of_own[i] += g * partner_j;
      of_partner[i] += g * own_j;
    }
  };
  for (int64_t j = 0; j < a; ++j) take(j, [&, at = place(j, a)](int i) { return of_products.get(at + i * Array::width); });
#pragma GCC unroll 4
  for (int j = 0; j < n_some; ++j)
    take(a + j, [&](int i) {
      const N g = of_products.get(place(a + (i < j ? i : j), a + (i < j ? j : i)));
      return i == j ? T(2) * g : g;
    });
  int64_t begin[n_some];
  for (int i = 0; i < n_some; ++i) begin[i] = place(a + i, 0);
  for (int64_t j = a + n_some; j < n; ++j) take(j, [&](int i) { return of_products.get(begin[i] + j * Array::width); });
#pragma GCC unroll 4
  for (int i = 0; i < n_some; ++i) {
    of_responses.put(rows[a + i] * row, of_own[i]);
    of_responses.put(rows[a + i] * row + partner, of_partner[i]);
  }
}

/// From G to the ring responses.
template <class T, class Array>
SPINCONV_INLINE void responses_back(const Shape& shape, const Couplings<T>& k, const Array& of_products, const Array& responses, const Array& of_responses) {
  constexpr int at_once = 4;
  const int32_t* rows = k.rows_by_order;
  for (int64_t m = 0, first = 0; m < k.n_degrees; ++m) {
    const int64_t n = shape.n_low - m * m;
    int64_t a = 0;
    for (; a + at_once <= n; a += at_once) some_rows_back<at_once, T>(rows, n, a, first, of_products, responses, of_responses);
    with_count<at_once - 1>(n - a, [&](auto rest) { some_rows_back<decltype(rest)::value, T>(rows, n, a, first, of_products, responses, of_responses); });
    rows += n;
    first += n * (n + 1) / 2;
  }
}

template <class T, class Array, class Polynomial>
SPINCONV_INLINE void couple_back(const Shape& shape, const Couplings<T>& k, int64_t c, const Array& responses, const Polynomial& of_polynomial,
                                 const Array& of_products, const Array& of_responses) {
  products_back(shape, k, c, of_polynomial, of_products);
  responses_back(shape, k, of_products, responses, of_responses);
  for (int64_t n = 0; n < k.n_linear; ++n)
    of_responses.add(2 * k.linear[n].row * Array::width, k.linear[n].value * of_polynomial.get(k.linear[n].harmonic * shape.channels + c));
}

template <class Element>
using Forward = ArrayOf<Element, SPINCONV_VECTOR_REGISTERS >= 32 ? 2 : 1>;   // as many channels as leave registers for the sums

template <class Element>
using Back = ArrayOf<Element, 1>;   // as many as leave the products in the first cache

/// `scratch`: n_spread + 2 n_rows numbers for each channel of some.
template <class T>
void coupling(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* scratch, T* polynomial) {
  constexpr int width = Forward<T>::width;
  const Forward<T> spread{scratch}, responses{scratch + shape.n_spread * width};
  for (int64_t c = 0; c < shape.channels; c += width) {
    ring_responses(shape, k, block.kernels, c, Forward<const T>{moments}, spread, responses);
    couple(shape, k, c, responses, Forward<T>{polynomial});
  }
}

/// `scratch`: n_spread + 4 n_rows + n_products numbers for each channel of some.
template <class T>
void coupling_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, const T* of_polynomial, T* scratch, T* of_moments) {
  constexpr int width = Back<T>::width;
  const Back<T> spread{scratch}, responses{scratch + shape.n_spread * width}, of_responses{responses.numbers + 2 * shape.n_rows * width},
      of_products{of_responses.numbers + 2 * shape.n_rows * width};
  for (int64_t c = 0; c < shape.channels; c += width) {
    ring_responses(shape, k, block.kernels, c, Back<const T>{moments}, spread, responses);
    couple_back(shape, k, c, responses, Back<const T>{of_polynomial}, of_products, of_responses);
    ring_responses_back(shape, k, block.kernels, c, of_responses, spread, Back<T>{of_moments});
  }
}

}  // namespace
}  // namespace spinconv::native
