// What LAMMPS leaves out of a neighbor list at somebody's wish: a model without these pairs would silently be another.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "nodes.h"

#include <cstdint>
#include <string>
#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
class NeighList;
class Neighbor;
}    // namespace LAMMPS_NS

namespace spinconv {

/// Whether `neigh_modify exclude group G all` takes an atom of these groups out of everything, as Monte Carlo fixes do to try a deletion.
bool is_excluded_from_all(const LAMMPS_NS::Neighbor &, int groups);

/// What a new list lacks of the neighbors that the nodes have, in words, as far as this process sees; "" for nothing.
std::string missing_neighbors(LAMMPS_NS::LAMMPS &, const LAMMPS_NS::NeighList &, const Nodes &nodes,
                              const std::vector<int64_t> &number_of_type);

}    // namespace spinconv
