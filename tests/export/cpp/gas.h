// Atoms to evaluate, and how far two results are apart.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

namespace laws {

/// Atoms here and there in a box, hydrogen, carbon and oxygen, no two of them too close; all edges within the cutoff. Of the last `n_ghosts`
/// this process only knows the edges from atoms to them.
struct Gas {
  std::vector<int64_t> numbers, source, target;
  std::vector<double> vectors, positions;
  int64_t n_ghosts;

  Gas(int64_t n, double cutoff, int64_t ghosts = 0) : n_ghosts(ghosts) {
    std::mt19937 random(1);
    const double width = 1.9 * std::cbrt(static_cast<double>(n));
    const auto place = [&] { return width * static_cast<double>(random()) / 4294967296.0; };
    auto& x = positions;
    while (static_cast<int64_t>(x.size()) < 3 * n) {
      const double at[3] = {place(), place(), place()};
      double closest = 1e9;
      for (size_t k = 0; k < x.size(); k += 3) closest = std::min(closest, std::hypot(x[k] - at[0], x[k + 1] - at[1], x[k + 2] - at[2]));
      if (closest < 0.9) continue;
      x.insert(x.end(), at, at + 3);
      numbers.push_back(std::vector<int64_t>{1, 6, 8}[numbers.size() % 3]);
    }
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n - n_ghosts; ++j) {
        const double r[3] = {x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1], x[3 * j + 2] - x[3 * i + 2]};
        if (i == j || std::hypot(r[0], r[1], r[2]) > cutoff) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), r, r + 3);
      }
  }
  spinconv::Graph graph() const {
    spinconv::Graph graph;
    graph.n_ghosts = n_ghosts;
    graph.n_atoms = static_cast<int64_t>(numbers.size()) - n_ghosts;
    graph.numbers = numbers.data();
    graph.n_edges = static_cast<int64_t>(source.size());
    graph.source = source.data(), graph.target = target.data(), graph.vectors = vectors.data();
    return graph;
  }
};

inline double largest(const std::vector<double>& values) {
  double most = 0.0;
  for (const auto value : values) most = std::max(most, std::abs(value));
  return most;
}

inline double difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double most = 0.0;
  for (size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
  return most;
}

inline std::string in_words(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

}  // namespace laws
