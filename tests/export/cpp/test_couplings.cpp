// The constants of the spin convolution's polynomial against what is known of them: test_couplings FILE...
// SPDX-License-Identifier: MIT
#include "laws.h"

#include "container.h"
#include "native/parameters.h"
#include "native/ring_couplings.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using laws::check;
using spinconv::native::Parameters;
using spinconv::native::RingCouplings;

struct Harmonic {
  int l, m;
};

Harmonic harmonic(int64_t lm) {
  const int l = static_cast<int>(std::sqrt(static_cast<double>(lm) + 0.5));
  return {l, static_cast<int>(lm) - l * l - l};
}

/// What a row of ring responses is of: an order and a component of the moments.
struct Row {
  int order;
  int64_t component;
};

std::vector<Row> rows_of(const RingCouplings& couplings, int64_t n_low) {
  std::vector<Row> rows(couplings.rows_by_order.size());
  size_t n = 0;
  for (int m = 0; m * m < n_low; ++m)
    for (int64_t lm = m * m; lm < n_low; ++lm) rows[couplings.rows_by_order[n++]] = {m, lm};
  return rows;
}

/// Y of a direction, of all degrees that the polynomial has.
std::vector<double> harmonics_at(const Parameters<double>& parameters, double x, double y, double z) {
  const auto& p = parameters.polynomials;
  std::vector<double> from{1.0, x, y, z};
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) {
    std::vector<double> to;
    for (int32_t k = 0; k < p.level_sizes[level]; ++k, factors += 2) to.push_back(from[factors[0]] * from[factors[1]]);
    from = to;
  }
  std::vector<double> made(parameters.shape.n_high, 0.0);
  for (size_t h = 0; h < made.size(); ++h)
    for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) made[h] += p.coefficient[k] * from[p.monomial[k]];
  return made;
}

using Sums = std::map<std::pair<int64_t, int64_t>, std::vector<double>>;   // K by harmonic, of a pair of components

/// K of the pairs, summed over the orders: each twice (cosine and sine) but for order 0, as it stands in the constants.
Sums sums_over_orders(const RingCouplings& couplings, const std::vector<Row>& rows, int64_t n_high, bool of_order_0_alone) {
  Sums sums;
  for (const auto& block : couplings.blocks)
    for (size_t n = 0; n < block.products.size(); ++n) {
      const auto a = rows[block.products[n].a], b = rows[block.products[n].b];
      if (of_order_0_alone && a.order != 0) continue;
      auto& k = sums[{a.component, b.component}];
      k.resize(n_high, 0.0);
      for (size_t h = 0; h < block.harmonics.size(); ++h)
        k[block.harmonics[h]] += block.values[n * block.harmonics.size() + h] * (a.component == b.component ? 2.0 : 1.0);
    }
  return sums;
}

void test_file(const std::string& path) {
  const std::string bytes = spinconv::read_file(path);
  const auto container = spinconv::open_container(bytes, path);
  const Parameters<double> parameters(container);
  const auto& shape = parameters.shape;
  const RingCouplings couplings(container, shape);
  const auto rows = rows_of(couplings, shape.n_low);
  const int lmax = static_cast<int>(std::lround(std::sqrt(static_cast<double>(shape.n_low)))) - 1;
  const std::string name = "lmax " + std::to_string(lmax) + ": ";

  int64_t n_values = 0, n_forbidden = 0, n_of_other_orders = 0;
  std::set<int32_t> places;
  for (const auto& block : couplings.blocks)
    for (size_t n = 0; n < block.products.size(); ++n) {
      const auto a = rows[block.products[n].a], b = rows[block.products[n].b];
      const auto [l1, m1] = harmonic(a.component);
      const auto [l2, m2] = harmonic(b.component);
      n_of_other_orders += a.order != b.order || a.order > l1 || b.order > l2;
      places.insert(block.products[n].place);
      for (size_t h = 0; h < block.harmonics.size(); ++h) {
        if (block.values[n * block.harmonics.size() + h] == 0.0) continue;
        const auto [l, m] = harmonic(block.harmonics[h]);
        const bool is_triangle = l >= std::abs(l1 - l2) && l <= l1 + l2 && (l + l1 + l2) % 2 == 0;
        const bool adds_up = std::abs(m) == std::abs(m1) + std::abs(m2) || std::abs(m) == std::abs(std::abs(m1) - std::abs(m2));
        ++n_values;
        n_forbidden += !is_triangle || !adds_up;
      }
    }
  const int64_t counts[] = {26, 227, 1129, 4204};
  check(n_values == counts[lmax - 1], name + std::to_string(n_values) + " numbers do not vanish");
  check(n_forbidden == 0, name + "degrees form triangles of even sum, and orders add up");
  check(n_of_other_orders == 0, name + "products are of rows of one order");
  check(static_cast<int64_t>(places.size()) == shape.n_products && *places.rbegin() == shape.n_products - 1, name + "every product of an order is there once");

  double worst = 0.0;   // D^l_0m = Y_lm / sqrt(2 l + 1)
  for (const auto& term : couplings.linear) {
    const auto component = rows[term.row].component;
    worst = std::max(worst, std::abs(term.value - (term.harmonic == component ? 1.0 / std::sqrt(2.0 * harmonic(component).l + 1.0) : 0.0)));
  }
  check(worst < 1e-12 && static_cast<int64_t>(couplings.linear.size()) == shape.n_low, name + "of order 0 each row is its own harmonic");

  const auto y = harmonics_at(parameters, 0.48, -0.6, 0.64);
  worst = 0.0;
  for (const auto& [pair, k] : sums_over_orders(couplings, rows, shape.n_high, true)) {
    double sum = 0.0;
    for (int64_t h = 0; h < shape.n_high; ++h) sum += k[h] * y[h];
    const double norm = std::sqrt((2.0 * harmonic(pair.first).l + 1.0) * (2.0 * harmonic(pair.second).l + 1.0));
    worst = std::max(worst, std::abs(sum - y[pair.first] * y[pair.second] / norm));
  }
  check(worst < 1e-12, name + "products of order 0 are products of two harmonics");

  worst = 0.0;   // rows of a rotation matrix are orthonormal: sum over m of D_ma D_mb = 1 or 0, in every direction
  for (const auto& [pair, k] : sums_over_orders(couplings, rows, shape.n_high, false)) {
    if (harmonic(pair.first).l != harmonic(pair.second).l) continue;
    for (int64_t h = 0; h < shape.n_high; ++h) worst = std::max(worst, std::abs(k[h] - (h == 0 && pair.first == pair.second ? 1.0 : 0.0)));
  }
  check(worst < 1e-12, name + "summed over the orders, products of one degree are those of the columns of a rotation");
}

}  // namespace

int main(int argc, char** argv) {
  for (int n = 1; n < argc; ++n) test_file(argv[n]);
  return laws::n_failed == 0 && argc > 1 ? 0 : 1;
}
