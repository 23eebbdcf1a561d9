// From the moments of an atom to its polynomial on the sphere (potential/harmonic/equations.py, pooled_polynomial).
//
//   own_r[c], partner_r[c] = sum over c' in the group of c of w[kernel of r, c', c] A[component of r, c']
//   P_LM[c] = sum_r K_LM,r own_r[c] + sum_{a <= b} K_LM,ab (own_a partner_b + own_b partner_a)[c]
//
// The numbers K are constants of the model. The way back is the same sums read the other way.
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

/// Every channel's value at all channels of its group: spread[c'][c] = from[the c'-th of the group of c].
template <class T>
SPINCONV_INLINE void spread_in_groups(const Shape& shape, const T* from, T* spread) {
  if (shape.group <= lanes<T> && lanes<T> % shape.group == 0) {   // groups do not cross vectors
    const auto begins = lane_numbers<T>() / typename Simd<T>::Int(shape.group) * typename Simd<T>::Int(shape.group);
    for (int64_t c = 0; c < shape.channels; c += lanes<T>) {
      const V<T> values = load(from + c);
      for (int64_t k = 0; k < shape.group; ++k) store(spread + k * shape.channels + c, __builtin_shuffle(values, begins + typename Simd<T>::Int(k)));
    }
    return;
  }
  for (int64_t begin = 0; begin < shape.used; begin += shape.group)
    for (int64_t k = 0; k < shape.group; ++k)
      for (int64_t c = begin; c < begin + shape.group; ++c) spread[k * shape.channels + c] = from[begin + k];
  for (int64_t k = 0; k < shape.group; ++k)
    for (int64_t c = shape.used; c < shape.channels; ++c) spread[k * shape.channels + c] = 0;
}

/// The reverse: to[the c'-th of a group] = the sum of spread[c'] over the group.
template <class T>
SPINCONV_INLINE void gather_from_groups(const Shape& shape, T* spread, T* to) {
  if (shape.group <= lanes<T> && (shape.group & (shape.group - 1)) == 0) {
    const auto lane = lane_numbers<T>();
    for (int64_t c = 0; c < shape.channels; c += lanes<T>) {
      for (int64_t bit = 1; bit < shape.group; bit *= 2) {   // of two rows each lane keeps the one it belongs to, with the neighbour's share
        const auto is_upper = (lane & typename Simd<T>::Int(bit)) != 0;
        for (int64_t k = 0; k < shape.group; k += 2 * bit) {
          const V<T> lower = load(spread + k * shape.channels + c), upper = load(spread + (k + bit) * shape.channels + c);
          const V<T> own = is_upper ? upper : lower, other = is_upper ? lower : upper;
          store(spread + k * shape.channels + c, own + __builtin_shuffle(other, lane ^ typename Simd<T>::Int(bit)));
        }
      }
      store(to + c, load(spread + c));
    }
    return;
  }
  for (int64_t begin = 0; begin < shape.used; begin += shape.group)
    for (int64_t k = 0; k < shape.group; ++k) {
      T sum = 0;
      for (int64_t c = begin; c < begin + shape.group; ++c) sum += spread[k * shape.channels + c];
      to[begin + k] = sum;
    }
  for (int64_t c = shape.used; c < shape.channels; ++c) to[c] = 0;
}

/// Own and partner of every row, [n_rows][2][channels].
template <class T>
SPINCONV_INLINE void ring_responses(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* spread, T* responses) {
  const int64_t channels = shape.channels;
  for (int64_t lm = 0; lm < shape.n_low; ++lm) {
    spread_in_groups(shape, moments + lm * channels, spread);
    for (int64_t r = k.first_row[lm]; r < k.first_row[lm + 1]; ++r) {
      const T* kernel = block.kernels + k.kernel[r] * shape.group * 2 * channels;
      for (int64_t c = 0; c < channels; c += panel<T>) {
        V<T> own[side_by_side] = {}, partner[side_by_side] = {};
        for (int64_t g = 0; g < shape.group; ++g)
#pragma GCC unroll 2
          for (int v = 0; v < side_by_side; ++v) {
            const int64_t at = c + v * lanes<T>;
            const V<T> value = load(spread + g * channels + at);
            own[v] += value * load(kernel + 2 * g * channels + at);
            partner[v] += value * load(kernel + (2 * g + 1) * channels + at);
          }
        for (int v = 0; v < side_by_side; ++v) {
          store(responses + 2 * r * channels + c + v * lanes<T>, own[v]);
          store(responses + (2 * r + 1) * channels + c + v * lanes<T>, partner[v]);
        }
      }
    }
  }
}

template <class T>
SPINCONV_INLINE void ring_responses_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* of_responses, T* spread, T* of_moments) {
  const int64_t channels = shape.channels;
  for (int64_t lm = 0; lm < shape.n_low; ++lm) {
    for (int64_t c = 0; c < channels; c += panel<T>)
      for (int64_t g = 0; g < shape.group; ++g) {
        V<T> of_own[side_by_side] = {}, of_partner[side_by_side] = {};
        for (int64_t r = k.first_row[lm]; r < k.first_row[lm + 1]; ++r) {
          const T* kernel = block.kernels + (k.kernel[r] * shape.group + g) * 2 * channels;
#pragma GCC unroll 2
          for (int v = 0; v < side_by_side; ++v) {
            const int64_t at = c + v * lanes<T>;
            of_own[v] += load(of_responses + 2 * r * channels + at) * load(kernel + at);
            of_partner[v] += load(of_responses + (2 * r + 1) * channels + at) * load(kernel + channels + at);
          }
        }
        for (int v = 0; v < side_by_side; ++v) store(spread + g * channels + c + v * lanes<T>, of_own[v] + of_partner[v]);
      }
    gather_from_groups(shape, spread, of_moments + lm * channels);
  }
}

/// `scratch`: (group + 2 n_rows) * channels + n_products * 32 numbers.
template <class T>
void coupling(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* scratch, T* polynomial) {
  const int64_t channels = shape.channels;
  T* responses = scratch + shape.group * channels;
  T* products = responses + 2 * shape.n_rows * channels;   // of a vector of channels
  ring_responses(shape, k, block, moments, scratch, responses);
  for (int64_t c = 0; c < channels; c += lanes<T>) {
    const auto own = [&](int64_t row) { return load(responses + 2 * row * channels + c); };
    const auto partner = [&](int64_t row) { return load(responses + (2 * row + 1) * channels + c); };
    for (int64_t n = 0; n < k.n_products; ++n) {
      const auto [a, b] = k.products[n];
      store(products + n * lanes<T>, own(a) * partner(b) + own(b) * partner(a));
    }
    for (int64_t h = 0; h < shape.n_high; ++h) {
      V<T> sums[4] = {};
      for (int32_t t = k.first_of_harmonic[h]; t < k.first_of_harmonic[h + 1]; t += 4)
#pragma GCC unroll 4
        for (int n = 0; n < 4; ++n) sums[n] += k.of_products[t + n].value * load(products + k.of_products[t + n].of * lanes<T>);
      store(polynomial + h * channels + c, (sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    for (int64_t n = 0; n < k.n_linear; ++n) {
      T* p = polynomial + k.linear[n].of * channels + c;
      store(p, load(p) + k.linear[n].value * own(k.linear_row[n]));
    }
  }
}

/// `scratch`: (group + 4 n_rows) * channels numbers.
template <class T>
void coupling_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, const T* of_polynomial, T* scratch, T* of_moments) {
  const int64_t channels = shape.channels;
  T* responses = scratch + shape.group * channels;
  T* of_responses = responses + 2 * shape.n_rows * channels;
  ring_responses(shape, k, block, moments, scratch, responses);
  for (int64_t n = 0; n < 2 * shape.n_rows * channels; n += lanes<T>) store(of_responses + n, all<T>(0));
  for (int64_t c = 0; c < channels; c += panel<T>) {
    const auto own = [&](int64_t row) { return 2 * row * channels + c; };
    const auto partner = [&](int64_t row) { return (2 * row + 1) * channels + c; };
    const auto add = [&](int64_t place, V<T> value) { store(of_responses + place, load(of_responses + place) + value); };
    for (int64_t n = 0; n < k.n_linear; ++n)
      for (int64_t v = 0; v < panel<T>; v += lanes<T>) add(own(k.linear_row[n]) + v, k.linear[n].value * load(of_polynomial + k.linear[n].of * channels + c + v));
    for (int64_t n = 0; n < k.n_products;) {
      const int32_t a = k.products[n].a;
      V<T> own_a[side_by_side], partner_a[side_by_side], of_own_a[side_by_side] = {}, of_partner_a[side_by_side] = {};
      for (int v = 0; v < side_by_side; ++v) own_a[v] = load(responses + own(a) + v * lanes<T>), partner_a[v] = load(responses + partner(a) + v * lanes<T>);
      for (; n < k.n_products && k.products[n].a == a; ++n) {
        V<T> of_value[side_by_side] = {}, odd[side_by_side] = {};
        for (int32_t t = k.first_of_product[n]; t < k.first_of_product[n + 1]; t += 2)
#pragma GCC unroll 2
          for (int v = 0; v < side_by_side; ++v) {
            of_value[v] += k.of_harmonics[t].value * load(of_polynomial + k.of_harmonics[t].of * channels + c + v * lanes<T>);
            odd[v] += k.of_harmonics[t + 1].value * load(of_polynomial + k.of_harmonics[t + 1].of * channels + c + v * lanes<T>);
          }
        const int64_t own_b = own(k.products[n].b), partner_b = partner(k.products[n].b);
#pragma GCC unroll 2
        for (int v = 0; v < side_by_side; ++v) {
          of_value[v] += odd[v];
          of_own_a[v] += of_value[v] * load(responses + partner_b + v * lanes<T>);
          of_partner_a[v] += of_value[v] * load(responses + own_b + v * lanes<T>);
          add(partner_b + v * lanes<T>, of_value[v] * own_a[v]);
          add(own_b + v * lanes<T>, of_value[v] * partner_a[v]);
        }
      }
      for (int v = 0; v < side_by_side; ++v) add(own(a) + v * lanes<T>, of_own_a[v]), add(partner(a) + v * lanes<T>, of_partner_a[v]);
    }
  }
  ring_responses_back(shape, k, block, of_responses, scratch, of_moments);
}

}  // namespace
}  // namespace spinconv::native
