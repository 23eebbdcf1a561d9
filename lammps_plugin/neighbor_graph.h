// The adaptor: from the neighbor list of LAMMPS, whose periodic images are atoms of their own, to the graph of the model, whose nodes
// are the atoms of this process and whose edges know their vectors.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "spinconv/model.h"

#include "lmptype.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class NeighList;
}    // namespace LAMMPS_NS

namespace spinconv {

/// All buffers are kept from step to step. An atom is a node if its type has an element.
class NeighborGraph {
 public:
  /// `list` must be a full list. An image within `cutoff` makes an edge from the node it is an image of. Call it at every step.
  void build(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::NeighList &list, const std::vector<int64_t> &number_of_type, double cutoff);

  /// As the model wants it; borrowed until the next build.
  Graph view() const;

  /// Index in LAMMPS' arrays of every node.
  const std::vector<int> &atoms() const { return atom_of_node; }

 private:
  void number_the_nodes(const LAMMPS_NS::Atom &, const std::vector<int64_t> &number_of_type);
  void find_owners(const LAMMPS_NS::Atom &);
  template <class Visit> void for_each_edge(const LAMMPS_NS::Atom &, const LAMMPS_NS::NeighList &, double cutoff, Visit) const;

  std::vector<int> atom_of_node;                              // [n_nodes]
  std::vector<int> node_of_atom;                              // [nlocal + nghost], -1 for atoms that are no nodes
  std::vector<std::pair<LAMMPS_NS::tagint, int>> by_tag;      // owned atoms sorted by ID, where LAMMPS keeps no map
  std::vector<int64_t> numbers, source, target;
  std::vector<double> vectors;
};

}    // namespace spinconv
