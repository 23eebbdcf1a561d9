// SPDX-License-Identifier: MIT
#include "spinconv/extrapolation.h"

#include "spinconv/elements.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace spinconv {
namespace {

std::string digits(const char* format, double number) {
  char text[32];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

}  // namespace

std::string Stray::in_words(const std::string& atom_name, const std::string& neighbor_name) const {
  const auto one = symbol_of(number), other = symbol_of(neighbor_number);
  const auto range = digits("%g", cutoff) + " A";
  if (neighbor < 0) {
    const auto seen = std::to_string(least) + (most == least ? "" : " to " + std::to_string(most));
    return "atom " + atom_name + " (" + one + ") has " + std::to_string(n_neighbors) + " neighbors within " + range + ", " + one +
           " of training had " + seen;
  }
  const auto here = "atoms " + atom_name + " (" + one + ") and " + neighbor_name + " (" + other + ") are " + digits("%.3f", distance) +
                    " A apart, ";
  if (std::isinf(shortest)) return here + "training had no " + one + " and " + other + " within " + range;
  return here + "the closest " + one + " and " + other + " of training were " + digits("%.3f", shortest) + " A apart";
}

void Watch::add(const ModelInfo& info) {
  if (info.shortest_distances.empty()) return;
  const auto range = range_of(info);
  const bool is_known = std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& other) {   // a committee's were trained on the same
    return other.cutoff_squared == range.cutoff_squared && other.elements == range.elements &&
           other.shortest_squared == range.shortest_squared && other.neighbors == range.neighbors;
  });
  if (!is_known) ranges_.push_back(range);
}

Watch::Range Watch::range_of(const ModelInfo& info) {
  Range range;
  range.cutoff_squared = info.cutoff * info.cutoff;
  range.elements = info.elements;
  for (size_t k = 0; k < info.elements.size(); ++k) range.place[info.elements[k]] = static_cast<int>(k);
  for (const double distance : info.shortest_distances) range.shortest_squared.push_back(distance * distance);
  range.neighbors = info.neighbor_range;
  return range;
}

void Watch::look(const Graph& graph) {
  worst_ = {};
  outside_.assign(graph.n_atoms, 0);
  for (const auto& range : ranges_) {
    look_at_pairs(range, graph);
    look_at_counts(range, graph);
  }
  n_outside_ = std::count(outside_.begin(), outside_.end(), 1);
}

void Watch::look_at_pairs(const Range& range, const Graph& graph) {
  counts_.assign(graph.n_atoms, 0);
  const auto n_elements = static_cast<int64_t>(range.elements.size());
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double* r = graph.vectors + 3 * e;
    const double squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (squared >= range.cutoff_squared) continue;
    const auto source = graph.source[e], target = graph.target[e];
    ++counts_[source];
    const auto number = graph.numbers[source], other = graph.numbers[target];
    const double shortest_squared = range.shortest_squared[n_elements * range.place[number] + range.place[other]];
    if (squared >= shortest_squared) continue;
    outside_[source] = 1;
    Stray stray;
    stray.atom = source, stray.number = number, stray.neighbor = target, stray.neighbor_number = other;
    stray.distance = std::sqrt(squared), stray.shortest = std::sqrt(shortest_squared), stray.cutoff = std::sqrt(range.cutoff_squared);
    stray.severity = std::isinf(shortest_squared) ? 3.0 - stray.distance / stray.cutoff : 2.0 - stray.distance / stray.shortest;
    keep_if_worse(stray);
  }
}

void Watch::look_at_counts(const Range& range, const Graph& graph) {
  for (int64_t atom = 0; atom < graph.n_atoms; ++atom) {
    const int64_t* seen = &range.neighbors[2 * range.place[graph.numbers[atom]]];
    const auto n = counts_[atom];
    if (n >= seen[0] && n <= seen[1]) continue;
    outside_[atom] = 1;
    Stray stray;
    stray.atom = atom, stray.number = graph.numbers[atom], stray.cutoff = std::sqrt(range.cutoff_squared);
    stray.n_neighbors = n, stray.least = seen[0], stray.most = seen[1];
    stray.severity = n < seen[0] ? static_cast<double>(seen[0] - n) / static_cast<double>(seen[0]) : static_cast<double>(n - seen[1]) / static_cast<double>(n);
    keep_if_worse(stray);
  }
}

void Watch::keep_if_worse(const Stray& stray) {
  if (stray.severity > worst_.severity) worst_ = stray;
}

}  // namespace spinconv
