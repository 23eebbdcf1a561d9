// The constants K of the spin convolution: how ring responses and products of two of them add up to a polynomial on the sphere.
//
// The polynomial is known by its values at fixed directions (potential/harmonic/equations.py, pooled_polynomial); with the rows D of these
// directions and the matrix that interpolates,
//
//   K_LM,r  = sum_s interpolation[LM, s] D_0[s, r],      K_LM,ab = sum_s interpolation[LM, s] sum over sine and cosine of D_m[s, a] D_m[s, b]
//
// of which most vanish: 1,129 numbers are left for lmax 3. Those of a = b are halved, because a product counts both orders.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "kernels.h"

#include <cstdint>
#include <vector>

namespace spinconv::native {

struct RingCouplings {
  RingCouplings(const Container& container, const Shape& shape);

  struct Block {
    std::vector<int32_t> harmonics;
    std::vector<Product> products;
    std::vector<double> values;   // [n_products][n_harmonics]
  };

  // As in Couplings.
  std::vector<int32_t> kernel, first_row, rows_by_order;
  std::vector<LinearTerm<double>> linear;
  std::vector<Block> blocks;

 private:
  void sort_rows(const Container& container, const Shape& shape);
};

}  // namespace spinconv::native
