// The coupling (coupling.h) of numbers with a derivative, and what the kernels learn. Rows are [...][value, tangent][channels].
// SPDX-License-Identifier: MIT
#pragma once

#include "../coupling.h"
#include "number.h"
#include "training_kernels.h"

namespace spinconv::native {
namespace {

/// Both parts of a component of the moments, each value at all channels of its group: [group][2][channels].
template <class T>
SPINCONV_INLINE void spread_numbers(const Shape& shape, const T* moments, T* scratch, T* spread) {
  for (int part = 0; part < 2; ++part) {
    spread_in_groups(shape, moments + part * shape.channels, scratch);
    for (int64_t g = 0; g < shape.group; ++g)
      for (int64_t c = 0; c < shape.channels; c += lanes<T>) store(spread + (2 * g + part) * shape.channels + c, load(scratch + g * shape.channels + c));
  }
}

/// Own and partner of every row, [n_rows][own, partner][2][channels].
template <class T>
SPINCONV_INLINE void ring_numbers(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* scratch, T* responses) {
  const int64_t channels = shape.channels;
  T* spread = scratch + shape.group * channels;
  for (int64_t lm = 0; lm < shape.n_low; ++lm) {
    spread_numbers(shape, moments + 2 * lm * channels, scratch, spread);
    for (int64_t r = k.first_row[lm]; r < k.first_row[lm + 1]; ++r)
      for (int64_t c = 0; c < channels; c += lanes<T>) {
        const T* kernel = block.kernels + k.kernel[r] * shape.group * 2 * channels + c;
        N<T, 2> own, partner;
        for (int64_t g = 0; g < shape.group; ++g) {
          const auto value = load_number<T, 2>(spread + 2 * g * channels + c, channels);
          own += scaled(load(kernel + 2 * g * channels), value);
          partner += scaled(load(kernel + (2 * g + 1) * channels), value);
        }
        store_number<T, 2>(responses + 4 * r * channels + c, channels, own);
        store_number<T, 2>(responses + (4 * r + 2) * channels + c, channels, partner);
      }
  }
}

template <class T>
SPINCONV_INLINE void ring_numbers_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, const T* of_responses, T* scratch, T* of_moments,
                                       T* of_kernels) {
  const int64_t channels = shape.channels;
  T *of_one = scratch + shape.group * channels, *spread = of_one + 2 * shape.group * channels;
  for (int64_t lm = 0; lm < shape.n_low; ++lm) {
    spread_numbers(shape, moments + 2 * lm * channels, scratch, spread);
    for (int64_t c = 0; c < channels; c += lanes<T>)
      for (int64_t g = 0; g < shape.group; ++g) {
        const auto value = load_number<T, 2>(spread + 2 * g * channels + c, channels);
        N<T, 2> of_value;
        for (int64_t r = k.first_row[lm]; r < k.first_row[lm + 1]; ++r) {
          const int64_t at = (k.kernel[r] * shape.group + g) * 2 * channels + c;
          const auto of_own = load_number<T, 2>(of_responses + 4 * r * channels + c, channels);
          const auto of_partner = load_number<T, 2>(of_responses + (4 * r + 2) * channels + c, channels);
          of_value += scaled(load(block.kernels + at), of_own) + scaled(load(block.kernels + at + channels), of_partner);
          add_to(of_kernels + at, learned(value, of_own));
          add_to(of_kernels + at + channels, learned(value, of_partner));
        }
        store(of_one + g * channels + c, of_value.value);
        store(of_one + (shape.group + g) * channels + c, of_value.tangent);
      }
    for (int part = 0; part < 2; ++part) gather_from_groups(shape, of_one + part * shape.group * channels, of_moments + (2 * lm + part) * channels);
  }
}

/// `scratch`: (3 group + 4 n_rows) * channels + 2 n_products * 32 numbers.
template <class T>
void coupling_of_numbers(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* scratch, T* polynomial) {
  const int64_t channels = shape.channels;
  T *responses = scratch + 3 * shape.group * channels, *products = responses + 4 * shape.n_rows * channels;
  ring_numbers(shape, k, block, moments, scratch, responses);
  for (int64_t c = 0; c < channels; c += lanes<T>) {
    const auto own = [&](int64_t row) { return load_number<T, 2>(responses + 4 * row * channels + c, channels); };
    const auto partner = [&](int64_t row) { return load_number<T, 2>(responses + (4 * row + 2) * channels + c, channels); };
    for (int64_t n = 0; n < k.n_products; ++n) {
      const auto [a, b] = k.products[n];
      store_number<T, 2>(products + 2 * n * lanes<T>, lanes<T>, own(a) * partner(b) + own(b) * partner(a));
    }
    for (int64_t h = 0; h < shape.n_high; ++h) {
      N<T, 2> sums[2];
      for (int32_t t = k.first_of_harmonic[h]; t < k.first_of_harmonic[h + 1]; t += 2)
        for (int n = 0; n < 2; ++n) sums[n] += scaled(k.of_products[t + n].value, load_number<T, 2>(products + 2 * k.of_products[t + n].of * lanes<T>, lanes<T>));
      store_number<T, 2>(polynomial + 2 * h * channels + c, channels, sums[0] + sums[1]);
    }
    for (int64_t n = 0; n < k.n_linear; ++n) {
      T* p = polynomial + 2 * k.linear[n].of * channels + c;
      store_number<T, 2>(p, channels, load_number<T, 2>(p, channels) + scaled(k.linear[n].value, own(k.linear_row[n])));
    }
  }
}

/// `scratch`: (5 group + 8 n_rows) * channels numbers.
template <class T>
void coupling_of_numbers_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, const T* of_polynomial, T* scratch, T* of_moments,
                              T* of_kernels) {
  const int64_t channels = shape.channels;
  T *responses = scratch + 5 * shape.group * channels, *of_responses = responses + 4 * shape.n_rows * channels;
  ring_numbers(shape, k, block, moments, scratch, responses);
  for (int64_t n = 0; n < 4 * shape.n_rows * channels; n += lanes<T>) store(of_responses + n, all<T>(0));
  for (int64_t c = 0; c < channels; c += lanes<T>) {
    const auto own = [&](int64_t row) { return 4 * row * channels + c; };
    const auto partner = [&](int64_t row) { return (4 * row + 2) * channels + c; };
    const auto response = [&](int64_t place) { return load_number<T, 2>(responses + place, channels); };
    const auto add = [&](int64_t place, const N<T, 2>& value) { store_number<T, 2>(of_responses + place, channels, load_number<T, 2>(of_responses + place, channels) + value); };
    const auto of_harmonic = [&](const Term<T>& term) { return scaled(term.value, load_number<T, 2>(of_polynomial + 2 * term.of * channels + c, channels)); };
    for (int64_t n = 0; n < k.n_linear; ++n) add(own(k.linear_row[n]), of_harmonic(k.linear[n]));
    for (int64_t n = 0; n < k.n_products;) {
      const int32_t a = k.products[n].a;
      const N<T, 2> own_a = response(own(a)), partner_a = response(partner(a));
      N<T, 2> of_own_a, of_partner_a;
      for (; n < k.n_products && k.products[n].a == a; ++n) {
        N<T, 2> of_value;
        for (int32_t t = k.first_of_product[n]; t < k.first_of_product[n + 1]; ++t) of_value += of_harmonic(k.of_harmonics[t]);
        const int32_t b = k.products[n].b;
        of_own_a += of_value * response(partner(b));
        of_partner_a += of_value * response(own(b));
        add(partner(b), of_value * own_a);
        add(own(b), of_value * partner_a);
      }
      add(own(a), of_own_a);
      add(partner(a), of_partner_a);
    }
  }
  ring_numbers_back(shape, k, block, moments, of_responses, scratch, of_moments, of_kernels);
}

}  // namespace
}  // namespace spinconv::native
