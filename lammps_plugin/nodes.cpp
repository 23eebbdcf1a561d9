// SPDX-License-Identifier: GPL-2.0-or-later
#include "nodes.h"

#include "neighbor_completeness.h"

#include "atom.h"
#include "neighbor.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace spinconv {

void Nodes::update(const Atom &atom, const Neighbor &neighbor, const std::vector<int64_t> &number_of_type)
{
  lists_are_new_ = sees_new_lists(atom, neighbor);
  if (lists_are_new_) {
    find_first_images(atom);
    find_the_excluded(atom, neighbor);
  } else if (!has_other_types(atom, number_of_type)) {
    return;
  }
  number_the_nodes(atom, number_of_type);
  ++version_;
}

// IDs and the order of atoms stay while lists do.
bool Nodes::sees_new_lists(const Atom &atom, const Neighbor &neighbor)
{
  const bool are_new = neighbor.ago == 0 || neighbor.ncalls != n_builds || atom.nlocal != n_local || atom.nlocal + atom.nghost != n_all;
  n_builds = neighbor.ncalls, n_local = atom.nlocal, n_all = atom.nlocal + atom.nghost;
  return are_new;
}

// As `fix atom/swap` changes them, while lists stay.
bool Nodes::has_other_types(const Atom &atom, const std::vector<int64_t> &number_of_type) const
{
  for (int i = 0; i < n_all; ++i)
    if (number_of_type[atom.type[i]] != number_of_atom[i]) return true;
  return false;
}

// LAMMPS' map gives the lowest index of an ID, too: that of the atom itself where this process has it.
void Nodes::find_first_images(const Atom &atom)
{
  first_image_.resize(n_all);
  if (atom.map_style != Atom::MAP_NONE) {
    for (int i = 0; i < n_all; ++i) {
      const int first = const_cast<Atom &>(atom).map(atom.tag[i]);
      first_image_[i] = first < 0 ? i : first;
    }
    return;
  }
  by_tag.clear();
  for (int i = 0; i < n_all; ++i) by_tag.emplace_back(atom.tag[i], i);
  std::sort(by_tag.begin(), by_tag.end());
  size_t first = 0;
  for (size_t k = 0; k < by_tag.size(); ++k) {
    if (by_tag[k].first != by_tag[first].first) first = k;
    first_image_[by_tag[k].second] = by_tag[first].second;
  }
}

// As the list was made: groups may change while it stays.
void Nodes::find_the_excluded(const Atom &atom, const Neighbor &neighbor)
{
  is_excluded.assign(n_all, 0);
  for (int i = 0; i < n_all; ++i) is_excluded[i] = is_excluded_from_all(neighbor, atom.mask[i]);
}

void Nodes::number_the_nodes(const Atom &atom, const std::vector<int64_t> &number_of_type)
{
  number_of_atom.resize(n_all);
  node_of_atom.assign(n_all, -1);
  atom_of_node.clear();
  numbers_.clear();
  n_owned_ = 0;
  for (int i = 0; i < n_all; ++i) {
    const auto number = number_of_atom[i] = number_of_type[atom.type[i]];
    if (number == 0 || is_excluded[i]) continue;
    if (first_image_[i] != i) {
      node_of_atom[i] = node_of_atom[first_image_[i]];    // lower, so numbered before
      continue;
    }
    node_of_atom[i] = static_cast<int>(numbers_.size());
    atom_of_node.push_back(i);
    numbers_.push_back(number);
    if (i < atom.nlocal) ++n_owned_;
  }
}

}    // namespace spinconv
