// Laws of spinconv::Watch, on graphs and files made by hand.
// SPDX-License-Identifier: MIT
#include "laws.h"

#include "spinconv/extrapolation.h"

#include <cmath>
#include <string>
#include <vector>

namespace {

using laws::check;

/// H and O: O-O never seen, H-H from 1.5 Å, H-O from 0.9 Å; one to two neighbours of H, two of O.
spinconv::ModelInfo water() {
  spinconv::ModelInfo info;
  info.cutoff = 5.0;
  info.elements = {1, 8};
  info.shortest_distances = {1.5, 0.9, 0.9, INFINITY};
  info.neighbor_range = {1, 2, 2, 2};
  return info;
}

/// Atoms and ghosts on a line, with the edges that the atoms send, up to 6 Å: longer than the model's cutoff.
struct Line {
  std::vector<int64_t> numbers, source, target;
  std::vector<double> vectors;
  spinconv::Graph graph;

  Line(std::vector<int64_t> of_nodes, const std::vector<double>& x, int64_t n_ghosts = 0) : numbers(std::move(of_nodes)) {
    const auto n_nodes = static_cast<int64_t>(numbers.size()), n_atoms = n_nodes - n_ghosts;
    for (int64_t j = 0; j < n_atoms; ++j) {
      for (int64_t i = 0; i < n_nodes; ++i) {
        if (i == j || std::abs(x[j] - x[i]) >= 6.0) continue;
        source.push_back(j), target.push_back(i);
        vectors.insert(vectors.end(), {x[j] - x[i], 0.0, 0.0});
      }
    }
    graph = {n_atoms, n_ghosts, numbers.data(), static_cast<int64_t>(source.size()), source.data(), target.data(), vectors.data()};
  }
};

spinconv::Watch looked(const Line& line, const std::vector<spinconv::ModelInfo>& models = {water()}) {
  spinconv::Watch watch;
  for (const auto& info : models) watch.add(info);
  watch.look(line.graph);
  return watch;
}

void test_inside() {
  const auto watch = looked(Line({1, 8, 1}, {0.0, 0.95, 1.9}));
  check(watch.n_outside() == 0 && watch.outside() == std::vector<char>(3, 0) && watch.worst().severity == 0.0, "what was seen is inside");
  check(looked(Line({}, {})).n_outside() == 0, "no atoms: none is outside");
}

void test_a_pair_too_close() {
  const auto watch = looked(Line({1, 8, 1}, {0.0, 0.85, 1.75}));
  check(watch.outside() == std::vector<char>({1, 1, 0}), "both atoms of a pair too close are outside, a third is not");
  check(watch.worst().in_words("7", "9") == "atoms 7 (H) and 9 (O) are 0.850 A apart, the closest H and O of training were 0.900 A apart",
        watch.worst().in_words("7", "9"));
}

void test_a_pair_never_seen() {
  const auto watch = looked(Line({8, 1, 1, 8}, {0.0, 0.85, 2.5, 4.0}));
  check(watch.worst().atom == 0 && watch.worst().neighbor == 3, "a pair never seen is worse than one too close");
  check(watch.worst().in_words("1", "4") == "atoms 1 (O) and 4 (O) are 4.000 A apart, training had no O and O within 5 A",
        watch.worst().in_words("1", "4"));
}

void test_neighbors() {
  const auto alone = looked(Line({8}, {0.0}));
  check(alone.worst().in_words("1", "") == "atom 1 (O) has 0 neighbors within 5 A, O of training had 2", alone.worst().in_words("1", ""));
  const auto crowd = looked(Line({1, 1, 1, 1}, {0.0, 1.6, 3.2, 4.8}));
  check(crowd.n_outside() == 4 && crowd.worst().in_words("1", "") == "atom 1 (H) has 3 neighbors within 5 A, H of training had 1 to 2",
        crowd.worst().in_words("1", ""));
}

void test_edges_beyond_the_cutoff() {
  const auto watch = looked(Line({1, 8, 1, 8}, {0.0, 0.95, 1.9, 7.0}));   // 5.1 Å from the last hydrogen
  check(watch.outside() == std::vector<char>({0, 0, 0, 1}), "edges beyond the cutoff do not count");
}

void test_ghosts() {
  const auto watch = looked(Line({1, 8, 1}, {0.0, 0.95, 1.75}, 1));
  check(watch.outside() == std::vector<char>({0, 1}) && watch.worst().neighbor == 2, "a ghost is a neighbour, and counted where it is at home");
}

void test_several_models() {
  auto unknown = water(), other = water();
  unknown.shortest_distances.clear(), unknown.neighbor_range.clear();
  other.shortest_distances[1] = other.shortest_distances[2] = 1.0;
  const Line line({1, 8, 1}, {0.0, 0.95, 1.95});
  check(!looked(line, {unknown}).knows() && looked(line, {unknown}).n_outside() == 0, "who does not know marks none");
  check(looked(line, {water(), unknown, water()}).n_outside() == 0, "several that were trained on the same are as one");
  check(looked(line, {water(), other}).outside() == std::vector<char>({1, 1, 0}), "outside of one of several is outside");
}

}  // namespace

int main() {
  test_inside();
  test_a_pair_too_close();
  test_a_pair_never_seen();
  test_neighbors();
  test_edges_beyond_the_cutoff();
  test_ghosts();
  test_several_models();
  return laws::n_failed == 0 ? 0 : 1;
}
