// From the moments of an atom to its ring responses, what each order m of the kernels sees of them; for some channels at a time.
//
//   own_r[c], partner_r[c] = sum over c' in the group of c of w[kernel of r, c', c] A[component of r, c']
//
// and back: dE/dA[lm, c'] = sum over rows r of lm and over c in the group of c' of w_own dE/down_r[c] + w_partner dE/dpartner_r[c].
//
// A stage that is a template over its arrays only needs numbers that can be added and multiplied by weights (simd.h, ArrayOf). Arrays of ring
// responses hold own and partner of the channels of one number, row by row.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

template <class T>
SPINCONV_INLINE typename Simd<T>::I lane_numbers() {
  typename Simd<T>::I n;
  for (int l = 0; l < lanes<T>; ++l) n[l] = l;
  return n;
}

/// Whether no group crosses a vector; the others take the slow road.
template <class T>
SPINCONV_INLINE bool groups_fit(const Shape& shape) { return shape.group <= lanes<T> && (shape.group & (shape.group - 1)) == 0; }

/// For the vector of channels from c on: spread[c' * stride] = from[the c'-th of the group of each channel].
template <class T>
SPINCONV_INLINE void spread_in_groups(const Shape& shape, const T* from, int64_t c, T* spread, int64_t stride) {
  if (groups_fit<T>(shape)) {
    const auto begins = lane_numbers<T>() & typename Simd<T>::Int(-shape.group);
    const V<T> values = load(from + c);
    for (int64_t k = 0; k < shape.group; ++k) store(spread + k * stride, shuffled<T>(values, begins + typename Simd<T>::Int(k)));
    return;
  }
  for (int64_t k = 0; k < shape.group; ++k)
    for (int64_t l = 0; l < lanes<T>; ++l) spread[k * stride + l] = c + l < shape.used ? from[(c + l) / shape.group * shape.group + k] : T(0);
}

/// The reverse: adds spread[c' * stride] over a group to to[the c'-th of the group], which was 0 before the first vector.
template <class T>
SPINCONV_INLINE void gather_from_groups(const Shape& shape, T* spread, int64_t stride, int64_t c, T* to) {
  if (groups_fit<T>(shape)) {
    const auto lane = lane_numbers<T>();
    for (int64_t bit = 1; bit < shape.group; bit *= 2) {   // of two rows each lane keeps the one it belongs to, with the neighbour's share
      const auto is_upper = (lane & typename Simd<T>::Int(bit)) != 0;
      for (int64_t k = 0; k < shape.group; k += 2 * bit) {
        const V<T> lower = load(spread + k * stride), upper = load(spread + (k + bit) * stride);
        const V<T> own = is_upper ? upper : lower, other = is_upper ? lower : upper;
        store(spread + k * stride, own + shuffled<T>(other, lane ^ typename Simd<T>::Int(bit)));
      }
    }
    store(to + c, load(spread));
    return;
  }
  if (c == 0)
    for (int64_t k = 0; k < shape.channels; ++k) to[k] = 0;
  for (int64_t l = 0; l < lanes<T> && c + l < shape.used; ++l)
    for (int64_t k = 0; k < shape.group; ++k) to[(c + l) / shape.group * shape.group + k] += spread[k * stride + l];
}

/// Sums that share what they load: as many as there are registers for.
template <class Array>
constexpr int at_once = SPINCONV_VECTOR_REGISTERS >= 32 && Array::width == lanes<typename Array::T> ? 2 : 1;

/// Of the channels from c on. `spread` has the components of a degree, in their groups.
template <class T, class Moments, class Array>
SPINCONV_INLINE void ring_responses(const Shape& shape, const Couplings<T>& k, const T* kernels, int64_t c, const Moments& moments, const Array& spread,
                                    const Array& responses) {
  constexpr int width = Array::width, some = at_once<Array>;
  for (int64_t l = 0; l < k.n_degrees; ++l)
    with_count<2 * most_lmax + 1>(2 * l + 1, [&](auto count) {
      constexpr int n = decltype(count)::value;
      for (int part = 0; part < Array::n_parts; ++part)
        for (int r = 0; r < n; ++r)
          for (int v = 0; v < width; v += lanes<T>)
            spread_in_groups(shape, moments.part(part) + (l * l + r) * shape.channels, c + v, spread.part(part) + r * width + v, n * width);
      for (int64_t slot = l * (l + 1) / 2; slot < (l + 1) * (l + 2) / 2; ++slot)
        for (int first = 0; first < 2; first += some) {   // own, partner
          const T* kernel = kernels + (k.kernel[slot] * shape.group * 2 + first) * shape.channels + c;
          typename Array::Number sums[n][some] = {};
          for (int64_t g = 0; g < shape.group; ++g, kernel += 2 * shape.channels) {
            typename Array::Weight weight[some];
#pragma GCC unroll 2
            for (int o = 0; o < some; ++o) weight[o] = Array::weight(kernel + o * shape.channels);
#pragma GCC unroll 16
            for (int r = 0; r < n; ++r) {
              const auto x = spread.get((g * n + r) * width);
#pragma GCC unroll 2
              for (int o = 0; o < some; ++o) sums[r][o] += weight[o] * x;
            }
          }
#pragma GCC unroll 16
          for (int r = 0; r < n; ++r)
#pragma GCC unroll 2
            for (int o = 0; o < some; ++o) responses.put((2 * (k.first_row[slot] + r) + first + o) * width, sums[r][o]);
        }
    });
}

template <class T, class Moments, class Array>
SPINCONV_INLINE void ring_responses_back(const Shape& shape, const Couplings<T>& k, const T* kernels, int64_t c, const Array& of_responses,
                                         const Array& spread, const Moments& of_moments) {
  constexpr int width = Array::width;
  const auto to_inputs = [&](int64_t l, auto count, auto inputs, int64_t g) {   // g, g + 1 ... of all components of a degree
    constexpr int n = decltype(count)::value, some = decltype(inputs)::value;
    typename Array::Number sums[n][some] = {};
    for (int64_t slot = l * (l + 1) / 2; slot < (l + 1) * (l + 2) / 2; ++slot) {
      const T* kernel = kernels + (k.kernel[slot] * shape.group + g) * 2 * shape.channels + c;
#pragma GCC unroll 2
      for (int output = 0; output < 2; ++output) {
        typename Array::Weight weight[some];
#pragma GCC unroll 2
        for (int i = 0; i < some; ++i) weight[i] = Array::weight(kernel + (2 * i + output) * shape.channels);
#pragma GCC unroll 16
        for (int r = 0; r < n; ++r) {
          const auto x = of_responses.get((2 * (k.first_row[slot] + r) + output) * width);
#pragma GCC unroll 2
          for (int i = 0; i < some; ++i) sums[r][i] += weight[i] * x;
        }
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < n; ++r)
#pragma GCC unroll 2
      for (int i = 0; i < some; ++i) spread.put(((g + i) * n + r) * width, sums[r][i]);
  };
  for (int64_t l = 0; l < k.n_degrees; ++l)
    with_count<2 * most_lmax + 1>(2 * l + 1, [&](auto count) {
      constexpr int n = decltype(count)::value, some = at_once<Array>;
      int64_t g = 0;
      for (; g + some <= shape.group; g += some) to_inputs(l, count, Rows<some>(), g);
      for (; g < shape.group; ++g) to_inputs(l, count, Rows<1>(), g);
      for (int part = 0; part < Array::n_parts; ++part)
        for (int r = 0; r < n; ++r)
          for (int v = 0; v < width; v += lanes<T>)
            gather_from_groups(shape, spread.part(part) + r * width + v, n * width, c + v, of_moments.part(part) + (l * l + r) * shape.channels);
    });
}

}  // namespace
}  // namespace spinconv::native
