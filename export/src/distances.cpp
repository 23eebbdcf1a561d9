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
  const auto called = [&](int64_t atom) { return name ? name(atom) : std::to_string(atom); };
  std::string one, other;
  double least = closest_image * closest_image, limit = 0.0;
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double* r = graph.vectors + 3 * e;
    const double squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (!(squared < least)) continue;   // as good as all
    const auto i = called(std::min(graph.target[e], graph.source[e])), j = called(std::max(graph.target[e], graph.source[e]));
    const double allowed = i == j ? closest_image : closest_distance;
    if (!(squared < allowed * allowed)) continue;
    one = i, other = j, least = squared, limit = allowed;
  }
  if (limit == 0.0) return;
  const auto who = one == other ? "atom " + one + " and its own image" : "atoms " + one + " and " + other;
  throw Error(who + " are " + short_form(std::sqrt(least)) + " Å apart; atoms must be at least " + short_form(limit) + " Å apart");
}

}  // namespace spinconv
