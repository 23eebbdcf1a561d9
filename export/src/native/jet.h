// A number with its first two derivatives by the distance.
// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

namespace spinconv::native {

struct Jet {
  double value = 0.0, slope = 0.0, curvature = 0.0;
};

inline Jet operator+(const Jet& a, const Jet& b) { return {a.value + b.value, a.slope + b.slope, a.curvature + b.curvature}; }
inline Jet operator*(double a, const Jet& b) { return {a * b.value, a * b.slope, a * b.curvature}; }
inline Jet operator*(const Jet& a, const Jet& b) {
  return {a.value * b.value, a.slope * b.value + a.value * b.slope, a.curvature * b.value + 2.0 * a.slope * b.slope + a.value * b.curvature};
}

/// f(x), from f and its derivatives at the value of x.
inline Jet chain(const Jet& x, double f, double slope, double curvature) {
  return {f, slope * x.slope, curvature * x.slope * x.slope + slope * x.curvature};
}

inline Jet silu(const Jet& x) {
  const double share = 1.0 / (1.0 + std::exp(-x.value)), of_share = share * (1.0 - share);
  return chain(x, x.value * share, share + x.value * of_share, of_share * (2.0 + x.value * (1.0 - 2.0 * share)));
}

/// sin(x) / x, by its series where that is exact and the quotient's derivatives are not.
inline Jet sinc(const Jet& x) {
  const double v = x.value, squared = v * v;
  if (squared < 0.1) {
    double f = 0.0, slope = 0.0, curvature = 0.0, factor = 1.0;   // of sum_n (-1)^n v^2n / (2n + 1)!
    for (int n = 0; n < 9; ++n) {
      const double power = std::pow(v, 2 * n);
      f += factor * power;
      if (n > 0) slope += factor * 2 * n * std::pow(v, 2 * n - 1), curvature += factor * 2 * n * (2 * n - 1) * std::pow(v, 2 * n - 2);
      factor *= -1.0 / ((2 * n + 2) * (2 * n + 3));
    }
    return chain(x, f, slope, curvature);
  }
  const double s = std::sin(v), c = std::cos(v), f = s / v, slope = (c - f) / v;
  return chain(x, f, slope, -f - 2.0 * slope / v);
}

}  // namespace spinconv::native
