// Bessel functions of the distance that the network is shown (potential/harmonic/equations.py, bessel), with two derivatives.
// SPDX-License-Identifier: MIT
#pragma once

#include "../jet.h"

#include <cmath>
#include <cstdint>

namespace spinconv::native {

/// 2 sqrt(2 / cutoff) sin(k pi x / cutoff) / x for k = 1 ... n, with its derivatives by x: made[k - 1].
inline void bessel(double x, int64_t n, double cutoff, Jet* made) {
  const double wave = 3.141592653589793 / cutoff, amplitude = 2.0 * std::sqrt(2.0 / cutoff);
  if (wave * n * std::abs(x) < 0.5 || std::abs(x) < 0.1) {   // where quotients lose what series do not
    for (int64_t k = 1; k <= n; ++k) made[k - 1] = amplitude * wave * k * sinc(wave * k * Jet{x, 1.0, 0.0});
    return;
  }
  const double sine = std::sin(wave * x), cosine = std::cos(wave * x), inverse = 1.0 / x;
  double s = sine, c = cosine;
  for (int64_t k = 1; k <= n; ++k) {
    const double value = s * inverse, slope = (wave * k * c - value) * inverse;
    made[k - 1] = {amplitude * value, amplitude * slope, amplitude * (-wave * wave * k * k * value - 2.0 * slope * inverse)};
    const double next = s * cosine + c * sine;
    c = c * cosine - s * sine;
    s = next;
  }
}

}  // namespace spinconv::native
