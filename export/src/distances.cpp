// SPDX-License-Identifier: MIT
#include "spinconv/distances.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace spinconv {
namespace {

/// As Python's "%.3g".
std::string short_form(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace

void check_distances(const Graph& graph, const std::function<std::string(int64_t)>& name) {
  int64_t nearest = -1;
  double least = closest_distance * closest_distance;
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double* r = graph.vectors + 3 * e;
    const double squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (!(squared < least)) continue;
    least = squared;
    nearest = e;
  }
  if (nearest < 0) return;
  const auto called = [&](int64_t atom) { return name ? name(atom) : std::to_string(atom); };
  const auto i = graph.target[nearest], j = graph.source[nearest];
  const auto who = i == j ? "atom " + called(i) + " and its own image" : "atoms " + called(std::min(i, j)) + " and " + called(std::max(i, j));
  throw Error(who + " are " + short_form(std::sqrt(least)) + " Å apart; atoms must be at least " + short_form(closest_distance) + " Å apart");
}

}  // namespace spinconv
