// The adaptor: from the neighbor list of LAMMPS, whose periodic images are atoms of their own, to the graph of the model, whose edges
// know their vectors.
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
class Neighbor;
}    // namespace LAMMPS_NS

namespace spinconv {

/// The nodes are the atoms of this process whose type has an element, then those of other processes that it sees as ghosts, each once:
/// all images of an atom are one node. Atoms that are excluded from everything are none. All buffers are kept from step to step.
class NeighborGraph {
 public:
  /// `list` must be a full list. Edges are those within `cutoff` (Å); `angstrom` is one in LAMMPS' unit. Call it at every step.
  void build(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Neighbor &neighbor, const LAMMPS_NS::NeighList &list,
             const std::vector<int64_t> &number_of_type, double cutoff, double angstrom);

  /// As the model wants it; borrowed until the next build.
  Graph view() const;

  /// Index in LAMMPS' arrays of every node, [n_atoms + n_ghosts]; of a ghost, that of its first image.
  const std::vector<int> &atoms() const { return atom_of_node; }

  /// Node of an index in LAMMPS' arrays, -1 for atoms that are none.
  int node_of(int atom) const { return node_of_atom[atom]; }

  /// Whether an index in LAMMPS' arrays is the one in atoms(), not another image of the same.
  bool is_first_image(int atom) const { return node_of_atom[atom] >= 0 && atom_of_node[node_of_atom[atom]] == atom; }

  /// Å, infinite without edges; and of one atom.
  double shortest_distance() const;
  double shortest_distance(int64_t node) const;

 private:
  void find_first_images(const LAMMPS_NS::Atom &);
  void find_the_excluded(const LAMMPS_NS::Atom &, const LAMMPS_NS::Neighbor &);
  void number_the_nodes(const LAMMPS_NS::Atom &, const std::vector<int64_t> &number_of_type);
  void make_room(const LAMMPS_NS::NeighList &);
  void find_edges(const LAMMPS_NS::Atom &, const LAMMPS_NS::NeighList &, double cutoff, double angstrom);
  double distance(int64_t edge) const;

  std::vector<int> atom_of_node;
  std::vector<int> node_of_atom;                            // [nlocal + nghost]
  std::vector<int> first_image;                             // [nlocal + nghost], the lowest index of the same atom
  std::vector<char> is_excluded;                            // [nlocal + nghost], from everything
  std::vector<std::pair<LAMMPS_NS::tagint, int>> by_tag;    // scratch, where LAMMPS keeps no map
  std::vector<int64_t> numbers;
  int64_t n_owned = 0, n_edges = 0;
  std::vector<int64_t> source, target;    // room for all pairs of the list, of which those within the cutoff are edges
  std::vector<double> vectors;
};

}    // namespace spinconv
