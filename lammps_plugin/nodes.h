// Which atoms of LAMMPS, whose periodic images are atoms of their own, are which nodes of the model's graph.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "lmptype.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class Neighbor;
}    // namespace LAMMPS_NS

namespace spinconv {

/// The nodes are the atoms of this process whose type has an element, then those of other processes that it sees as ghosts, each once:
/// all images of an atom are one node. Atoms that are excluded from everything are none. All buffers are kept from step to step.
class Nodes {
 public:
  /// Numbers the nodes where neighbor lists are new, or types others than before. Call it at every step.
  void update(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::Neighbor &neighbor, const std::vector<int64_t> &number_of_type);

  /// Whether the last update found new lists; how often nodes were numbered so far.
  bool lists_are_new() const { return lists_are_new_; }
  int64_t version() const { return version_; }

  int64_t n_owned() const { return n_owned_; }
  int64_t n_ghosts() const { return static_cast<int64_t>(numbers_.size()) - n_owned_; }
  int64_t n_indices() const { return static_cast<int64_t>(node_of_atom.size()); }
  /// Atomic numbers, [n_owned + n_ghosts].
  const std::vector<int64_t> &numbers() const { return numbers_; }

  /// Index in LAMMPS' arrays of every node, [n_owned + n_ghosts]; of a ghost, that of its first image.
  const std::vector<int> &atoms() const { return atom_of_node; }

  /// Node of an index in LAMMPS' arrays, -1 for atoms that are none; and of all.
  int node_of(int atom) const { return node_of_atom[atom]; }
  const std::vector<int> &of_atoms() const { return node_of_atom; }

  /// Of an index in LAMMPS' arrays, the lowest of the same atom.
  int first_image(int atom) const { return first_image_[atom]; }

 private:
  bool sees_new_lists(const LAMMPS_NS::Atom &, const LAMMPS_NS::Neighbor &);
  bool has_other_types(const LAMMPS_NS::Atom &, const std::vector<int64_t> &number_of_type) const;
  void find_first_images(const LAMMPS_NS::Atom &);
  void find_the_excluded(const LAMMPS_NS::Atom &, const LAMMPS_NS::Neighbor &);
  void number_the_nodes(const LAMMPS_NS::Atom &, const std::vector<int64_t> &number_of_type);

  bool lists_are_new_ = false;
  int64_t version_ = 0, n_owned_ = 0;
  int n_local = -1, n_all = -1;                             // that nodes were numbered for
  LAMMPS_NS::bigint n_builds = -1;                          // of neighbor lists
  std::vector<int64_t> number_of_atom;                      // [n_all], by its type
  std::vector<int> atom_of_node;
  std::vector<int> node_of_atom;                            // [n_all]
  std::vector<int> first_image_;                            // [n_all]
  std::vector<char> is_excluded;                            // [n_all], from everything
  std::vector<std::pair<LAMMPS_NS::tagint, int>> by_tag;    // scratch, where LAMMPS keeps no map
  std::vector<int64_t> numbers_;
};

}    // namespace spinconv
