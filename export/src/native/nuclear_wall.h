// Half the screened repulsion of two nuclei, faded out (potential/harmonic/equations.py, wall): in double, of the few edges that are so short.
// SPDX-License-Identifier: MIT
#pragma once

#include "parameters.h"

#include <cmath>

namespace spinconv::native {

struct NuclearWall {
  Numbers pairs;   // [pair][4 amplitudes (eV Å), 4 rates (1/Å), 1 / reach, 1 / cutoff (1/Å)]

  explicit NuclearWall(const Container& container) : pairs(container, "constants.pairs", {-1, 10}) {}

  /// The energy (eV) at a distance above 0, and in `slope` its derivative.
  double operator()(int32_t pair, double d, double& slope) const {
    const double x = d * pairs.at(pair, 8);
    slope = 0.0;
    if (x >= 1.0 || d == 0.0) return 0.0;
    double screened = 0.0, of_screened = 0.0;
    for (int k = 0; k < 4; ++k) {
      const double term = pairs.at(pair, k) * std::exp(pairs.at(pair, 4 + k) * d);
      screened += term;
      of_screened += pairs.at(pair, 4 + k) * term;
    }
    const double x5 = x * x * x * x * x, fade = 1.0 + x5 * x * (-28.0 + x * (48.0 - 21.0 * x));
    const double of_fade = -168.0 * x5 * (1.0 - x) * (1.0 - x) * pairs.at(pair, 8);
    slope = (of_screened * fade + screened * of_fade - screened * fade / d) / d;
    return screened * fade / d;
  }
};

}  // namespace spinconv::native
