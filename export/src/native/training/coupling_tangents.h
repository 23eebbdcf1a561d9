// The coupling (coupling.h) of numbers with a derivative, and what the kernels of the ring responses learn. What belongs to an atom stands as
// [value, tangent][...][channels].
// SPDX-License-Identifier: MIT
#pragma once

#include "../coupling.h"
#include "number.h"
#include "training_kernels.h"

namespace spinconv::native {
namespace {

/// dL/dw[kernel, c', c] of the channels from c on: the sum over the components of a degree of what own and partner learn of the c'-th of a group.
template <class T>
SPINCONV_INLINE void learn_kernels(const Shape& shape, const Couplings<T>& k, int64_t c, const ArrayOfNumbers<const T>& moments, const ArrayOfNumbers<T>& spread,
                                   const ArrayOfNumbers<T>& of_responses, T* of_kernels) {
  constexpr int width = lanes<T>;
  for (int64_t l = 0; l < k.n_degrees; ++l)
    with_count<2 * most_lmax + 1>(2 * l + 1, [&](auto count) {
      constexpr int n = decltype(count)::value;
      for (int part = 0; part < 2; ++part)
        for (int r = 0; r < n; ++r) spread_in_groups(shape, moments.part(part) + (l * l + r) * shape.channels, c, spread.part(part) + r * width, n * width);
      for (int64_t slot = l * (l + 1) / 2; slot < (l + 1) * (l + 2) / 2; ++slot)
        for (int output = 0; output < 2; ++output) {   // own, partner
          N<T, 2> of[n];
#pragma GCC unroll 16
          for (int r = 0; r < n; ++r) of[r] = of_responses.get((2 * (k.first_row[slot] + r) + output) * width);
          for (int64_t g = 0; g < shape.group; ++g) {
            V<T> sum = all<T>(0);
#pragma GCC unroll 16
            for (int r = 0; r < n; ++r) sum += learned(spread.get((g * n + r) * width), of[r]);
            add_to(of_kernels + ((k.kernel[slot] * shape.group + g) * 2 + output) * shape.channels + c, sum);
          }
        }
    });
}

/// `scratch`: 2 (n_spread + 2 n_rows) numbers for each channel of a vector.
template <class T>
void coupling_of_numbers(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, T* scratch, T* polynomial) {
  constexpr int width = lanes<T>;
  const ArrayOfNumbers<T> spread{scratch, shape.n_spread * width}, responses{spread.part(2), 2 * shape.n_rows * width};
  const ArrayOfNumbers<const T> of_atom{moments, shape.n_low * shape.channels};
  const ArrayOfNumbers<T> made{polynomial, shape.n_high * shape.channels};
  for (int64_t c = 0; c < shape.channels; c += width) {
    ring_responses(shape, k, block.kernels, c, of_atom, spread, responses);
    couple(shape, k, c, responses, made);
  }
}

/// `scratch`: 2 (n_spread + 4 n_rows + n_products) numbers for each channel of a vector.
template <class T>
void coupling_of_numbers_back(const Shape& shape, const Couplings<T>& k, const Block<T>& block, const T* moments, const T* of_polynomial, T* scratch, T* of_moments,
                              T* of_kernels) {
  constexpr int width = lanes<T>;
  const ArrayOfNumbers<T> spread{scratch, shape.n_spread * width}, responses{spread.part(2), 2 * shape.n_rows * width},
      of_responses{responses.part(2), 2 * shape.n_rows * width}, of_products{of_responses.part(2), shape.n_products * width};
  const ArrayOfNumbers<const T> of_atom{moments, shape.n_low * shape.channels}, of_made{of_polynomial, shape.n_high * shape.channels};
  const ArrayOfNumbers<T> of_moment{of_moments, shape.n_low * shape.channels};
  for (int64_t c = 0; c < shape.channels; c += width) {
    ring_responses(shape, k, block.kernels, c, of_atom, spread, responses);
    couple_back(shape, k, c, responses, of_made, of_products, of_responses);
    learn_kernels(shape, k, c, of_atom, spread, of_responses, of_kernels);
    ring_responses_back(shape, k, block.kernels, c, of_responses, spread, of_moment);
  }
}

}  // namespace
}  // namespace spinconv::native
