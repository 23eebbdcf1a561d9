// SPDX-License-Identifier: MIT
#include "ring_couplings.h"

#include "parameters.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

namespace spinconv::native {
namespace {

constexpr double vanishes = 1e-9;   // the others are above 1e-3, those that vanish are below 1e-14
constexpr size_t most_zeros = 2;    // of a product in a dense block: fewer blocks, whose sums are fewer to add up

using Harmonics = std::vector<int32_t>;

struct Coupled {
  Product product;
  Harmonics harmonics;           // where K does not vanish
  std::vector<double> values;    // K of all harmonics
};

/// The smallest of the sets that has all of these harmonics and not too many others; `wanted` itself where there is none.
Harmonics set_for(const Harmonics& wanted, const std::map<Harmonics, RingCouplings::Block>& blocks) {
  const Harmonics* best = nullptr;
  for (const auto& [set, block] : blocks)
    if (set.size() <= wanted.size() + most_zeros && std::includes(set.begin(), set.end(), wanted.begin(), wanted.end()) && (!best || set.size() < best->size()))
      best = &set;
  return best ? *best : wanted;
}

std::vector<RingCouplings::Block> dense_blocks(std::vector<Coupled> coupled) {
  std::stable_sort(coupled.begin(), coupled.end(), [](const Coupled& x, const Coupled& y) { return x.harmonics.size() > y.harmonics.size(); });
  std::map<Harmonics, RingCouplings::Block> blocks;
  for (const auto& one : coupled) {
    const auto set = set_for(one.harmonics, blocks);
    auto& block = blocks[set];
    block.harmonics = set;
    block.products.push_back(one.product);
    for (const auto h : set) block.values.push_back(one.values[h]);
  }
  std::vector<RingCouplings::Block> made;
  for (auto& [set, block] : blocks) made.push_back(std::move(block));
  std::stable_sort(made.begin(), made.end(), [](const auto& x, const auto& y) { return x.harmonics.size() < y.harmonics.size(); });
  return made;
}

}  // namespace

void RingCouplings::sort_rows(const Container& container, const Shape& shape) {
  const auto component = indices(container, "constants.row_component", {shape.n_rows}, shape.n_low);
  const auto kernel_of = indices(container, "constants.row_kernel", {shape.n_rows}, shape.n_kernels);
  rows_by_order.resize(shape.n_rows);
  int32_t n = 0;
  for (int64_t l = 0; l * l < shape.n_low; ++l)
    for (int64_t m = 0; m <= l; ++m) {
      first_row.push_back(n);
      for (int64_t lm = l * l; lm < (l + 1) * (l + 1); ++lm, ++n) {
        const int64_t in_file = m * shape.n_low - m * (m - 1) * (2 * m - 1) / 6 + lm - m * m;   // there by order, then by component
        if (component[in_file] != lm || (lm > l * l && kernel_of[in_file] != kernel.back()))
          throw Error("weights `constants.row_component` and `constants.row_kernel` must be by order m and then by component, row " +
                      std::to_string(in_file) + " is not; export the model again with this spinconv");
        if (lm == l * l) kernel.push_back(kernel_of[in_file]);
        rows_by_order[in_file] = n;
      }
    }
}

RingCouplings::RingCouplings(const Container& container, const Shape& shape) {
  sort_rows(container, shape);
  const Numbers interpolation(container, "constants.interpolation", {shape.n_high, -1});   // [n_high][n_directions]
  const int64_t n_directions = interpolation.shape[1];
  const auto interpolated = [&](const std::vector<double>& at_directions) {
    std::vector<double> k(shape.n_high, 0.0);
    for (int64_t h = 0; h < shape.n_high; ++h) {
      for (int64_t s = 0; s < n_directions; ++s) k[h] += interpolation.at(h, s) * at_directions[s];
      if (std::abs(k[h]) < vanishes) k[h] = 0.0;
    }
    return k;
  };
  std::vector<Coupled> coupled;
  std::vector<double> values(n_directions);
  const int32_t* row = rows_by_order.data();
  for (int64_t m = 0; m * m < shape.n_low; ++m) {
    const Numbers responses(container, "constants.responses." + std::to_string(m), {(m == 0 ? 1 : 2) * n_directions, shape.n_low - m * m});
    const auto n = static_cast<int32_t>(responses.shape[1]);
    for (int32_t a = 0; a < n; ++a) {
      if (m == 0) {
        for (int64_t s = 0; s < n_directions; ++s) values[s] = responses.at(s, a);
        const auto k = interpolated(values);
        for (int32_t h = 0; h < shape.n_high; ++h)
          if (k[h] != 0.0) linear.push_back({row[a], h, k[h]});
      }
      for (int32_t b = a; b < n; ++b) {
        std::fill(values.begin(), values.end(), 0.0);
        for (int64_t s = 0; s < responses.shape[0]; ++s) values[s % n_directions] += responses.at(s, a) * responses.at(s, b) * (a == b ? 0.5 : 1.0);
        Coupled one{{row[a], row[b], static_cast<int32_t>(coupled.size())}, {}, interpolated(values)};
        for (int32_t h = 0; h < shape.n_high; ++h)
          if (one.values[h] != 0.0) one.harmonics.push_back(h);
        coupled.push_back(std::move(one));
      }
    }
    row += n;
  }
  blocks = dense_blocks(std::move(coupled));
  for (const auto& block : blocks)
    if (block.harmonics.empty() || block.harmonics.size() > static_cast<size_t>(most_coupled))
      throw Error("weights `constants.responses` must give each product 1 to " + std::to_string(most_coupled) + " harmonics, give one " + std::to_string(block.harmonics.size()));
}

}  // namespace spinconv::native
