// SPDX-License-Identifier: MIT
#include "ring_couplings.h"

#include "parameters.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace spinconv::native {
namespace {

constexpr double vanishes = 1e-9;   // the others are above 1e-3, those that vanish are below 1e-14

void append(const std::vector<Term<double>>& terms, size_t multiple, std::vector<int32_t>& first, std::vector<Term<double>>& all) {
  first.push_back(static_cast<int32_t>(all.size()));
  all.insert(all.end(), terms.begin(), terms.end());
  while (all.size() % multiple != 0) all.push_back({0, 0.0});
}

}  // namespace

RingCouplings::RingCouplings(const Container& container, const Shape& shape) {
  const int64_t n_rows = shape.n_rows;
  const auto component = indices(container, "constants.row_component", {n_rows}, shape.n_low);   // in the file's order: by m
  const auto kernel_of = indices(container, "constants.row_kernel", {n_rows}, shape.n_kernels);
  std::vector<int32_t> by_component(n_rows), row(n_rows);
  std::iota(by_component.begin(), by_component.end(), 0);
  std::stable_sort(by_component.begin(), by_component.end(), [&](int32_t a, int32_t b) { return component[a] < component[b]; });
  for (int64_t n = 0; n < n_rows; ++n) {
    row[by_component[n]] = static_cast<int32_t>(n);
    kernel.push_back(kernel_of[by_component[n]]);
    while (static_cast<int64_t>(first_row.size()) <= component[by_component[n]]) first_row.push_back(static_cast<int32_t>(n));
  }
  first_row.push_back(static_cast<int32_t>(n_rows));

  if (static_cast<int64_t>(first_row.size()) != shape.n_low + 1) throw Error("weights `constants.row_component` must have every component of the moments");

  const Numbers interpolation(container, "constants.interpolation", {shape.n_high, -1});   // [n_high][n_directions]
  const int64_t n_high = shape.n_high, n_directions = interpolation.shape[1];
  const auto interpolate = [&](const std::vector<double>& values, auto&& use) {
    for (int64_t h = 0; h < n_high; ++h) {
      double sum = 0.0;
      for (int64_t s = 0; s < n_directions; ++s) sum += interpolation.at(h, s) * values[s];
      if (std::abs(sum) > vanishes) use(Term<double>{static_cast<int32_t>(h), sum});
    }
  };
  struct Made {
    Product product;
    std::vector<Term<double>> terms;
  };
  std::vector<Made> made;
  std::vector<double> values(n_directions);
  int32_t begin = 0;   // row of the order, in the file's order
  for (int64_t m = 0; m * m < shape.n_low; ++m) {
    const Numbers responses(container, "constants.responses." + std::to_string(m), {(m == 0 ? 1 : 2) * n_directions, shape.n_low - m * m});
    const auto n = static_cast<int32_t>(responses.shape[1]);
    for (int32_t a = 0; a < n; ++a) {
      if (m == 0) {
        for (int64_t s = 0; s < n_directions; ++s) values[s] = responses.at(s, a);
        interpolate(values, [&](const Term<double>& term) { linear.push_back(term), linear_row.push_back(row[begin + a]); });
      }
      for (int32_t b = a; b < n; ++b) {
        std::fill(values.begin(), values.end(), 0.0);
        for (int64_t s = 0; s < responses.shape[0]; ++s) values[s % n_directions] += responses.at(s, a) * responses.at(s, b);
        Made one{{row[begin + a], row[begin + b]}, {}};
        interpolate(values, [&](const Term<double>& term) { one.terms.push_back({term.of, a == b ? 0.5 * term.value : term.value}); });
        if (!one.terms.empty()) made.push_back(std::move(one));
      }
    }
    begin += n;
  }
  std::stable_sort(made.begin(), made.end(), [](const Made& x, const Made& y) {
    return std::make_pair(x.product.a, x.terms.size()) < std::make_pair(y.product.a, y.terms.size());
  });
  std::vector<std::vector<Term<double>>> by_harmonic(n_high);
  for (size_t p = 0; p < made.size(); ++p) {
    products.push_back(made[p].product);
    append(made[p].terms, 2, first_of_product, of_harmonics);
    for (const auto& term : made[p].terms) by_harmonic[term.of].push_back({static_cast<int32_t>(p), term.value});
  }
  for (const auto& terms : by_harmonic) append(terms, 4, first_of_harmonic, of_products);
  first_of_product.push_back(static_cast<int32_t>(of_harmonics.size()));
  first_of_harmonic.push_back(static_cast<int32_t>(of_products.size()));
}

}  // namespace spinconv::native
