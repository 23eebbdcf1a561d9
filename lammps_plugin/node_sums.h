// What LAMMPS is given of an evaluation: sums over the edges of every node.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "spinconv/model.h"

#include <array>
#include <cstdint>
#include <vector>

namespace spinconv {

/// What a step asks for, besides forces.
struct Wanted {
  bool energies = false, virial = false, virials = false, centroid_virials = false;
};

/// In eV and Å. What is not wanted stays as it was.
struct NodeSums {
  double energy = 0.0;
  std::vector<double> energies;            // [n_atoms]
  std::vector<double> forces;              // [n_nodes][3]
  std::array<double, 6> virial{};          // xx yy zz xy xz yz
  std::vector<double> virials;             // [n_nodes][6]
  std::vector<double> centroid_virials;    // [n_nodes][3][3]

  /// Whether a node of this process has an energy or force that is not a number, [n_atoms]; empty where all have. Energies are looked at where wanted.
  std::vector<char> bad_nodes(int64_t n_atoms, const Wanted &wanted) const;
};

/// From edges on the host; energies always.
void add_up(const Graph &graph, const Result &result, const Wanted &wanted, NodeSums &sums);

}    // namespace spinconv
