// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbor_graph.h"

#include "neighbor_completeness.h"

#include "atom.h"
#include "neigh_list.h"
#include "neighbor.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace spinconv {

void NeighborGraph::build(const Atom &atom, const Neighbor &neighbor, const NeighList &list, const std::vector<int64_t> &number_of_type,
                          double cutoff, double angstrom)
{
  find_first_images(atom);
  if (neighbor.ago == 0 || is_excluded.size() != first_image.size()) find_the_excluded(atom, neighbor);
  number_the_nodes(atom, number_of_type);
  make_room(list);
  find_edges(atom, list, cutoff, angstrom);
}

Graph NeighborGraph::view() const
{
  Graph graph;
  graph.n_atoms = n_owned;
  graph.n_ghosts = static_cast<int64_t>(numbers.size()) - n_owned;
  graph.numbers = numbers.data();
  graph.n_edges = n_edges;
  graph.source = source.data();
  graph.target = target.data();
  graph.vectors = vectors.data();
  return graph;
}

// LAMMPS' map gives the lowest index of an ID, too: that of the atom itself where this process has it.
void NeighborGraph::find_first_images(const Atom &atom)
{
  const int n_all = atom.nlocal + atom.nghost;
  first_image.resize(n_all);
  if (atom.map_style != Atom::MAP_NONE) {
    for (int i = 0; i < n_all; ++i) {
      const int first = const_cast<Atom &>(atom).map(atom.tag[i]);
      first_image[i] = first < 0 ? i : first;
    }
    return;
  }
  by_tag.clear();
  for (int i = 0; i < n_all; ++i) by_tag.emplace_back(atom.tag[i], i);
  std::sort(by_tag.begin(), by_tag.end());
  size_t first = 0;
  for (size_t k = 0; k < by_tag.size(); ++k) {
    if (by_tag[k].first != by_tag[first].first) first = k;
    first_image[by_tag[k].second] = by_tag[first].second;
  }
}

// With a new list only, as the list was made: groups may change while it stays.
void NeighborGraph::find_the_excluded(const Atom &atom, const Neighbor &neighbor)
{
  is_excluded.assign(first_image.size(), 0);
  for (size_t i = 0; i < is_excluded.size(); ++i) is_excluded[i] = is_excluded_from_all(neighbor, atom.mask[i]);
}

void NeighborGraph::number_the_nodes(const Atom &atom, const std::vector<int64_t> &number_of_type)
{
  const int n_all = atom.nlocal + atom.nghost;
  node_of_atom.assign(n_all, -1);
  atom_of_node.clear();
  numbers.clear();
  n_owned = 0;
  for (int i = 0; i < n_all; ++i) {
    const auto number = number_of_type[atom.type[i]];
    if (number == 0 || is_excluded[i]) continue;
    if (first_image[i] != i) {
      node_of_atom[i] = node_of_atom[first_image[i]];    // lower, so numbered before
      continue;
    }
    node_of_atom[i] = static_cast<int>(numbers.size());
    atom_of_node.push_back(i);
    numbers.push_back(number);
    if (i < atom.nlocal) ++n_owned;
  }
}

// Counting first lets one pass at every step do without a check or a copy. Arrays only grow, with some to spare.
void NeighborGraph::make_room(const NeighList &list)
{
  size_t n_pairs = 0;
  for (int k = 0; k < list.inum; ++k) n_pairs += list.numneigh[list.ilist[k]];
  if (n_pairs <= source.size()) return;
  n_pairs += n_pairs / 8;
  source.resize(n_pairs);
  target.resize(n_pairs);
  vectors.resize(3 * n_pairs);
}

void NeighborGraph::find_edges(const Atom &atom, const NeighList &list, double cutoff, double angstrom)
{
  const double cutoff_squared = cutoff * cutoff, to_angstrom = 1.0 / angstrom;
  int64_t e = 0;
  for (int k = 0; k < list.inum; ++k) {
    const int i = list.ilist[k];
    const int node = node_of_atom[i];
    if (node < 0) continue;
    const double *here = atom.x[i];
    const int *neighbors = list.firstneigh[i];
    for (int n = 0; n < list.numneigh[i]; ++n) {
      const int j = neighbors[n] & NEIGHMASK;
      double *r = &vectors[3 * e];
      double square = 0.0;
      for (int a = 0; a < 3; ++a) {
        r[a] = to_angstrom * (here[a] - atom.x[j][a]);
        square += r[a] * r[a];
      }
      if (square >= cutoff_squared || node_of_atom[j] < 0) continue;
      source[e] = node;
      target[e] = node_of_atom[j];
      ++e;
    }
  }
  n_edges = e;
}

double NeighborGraph::distance(int64_t edge) const
{
  const double *r = &vectors[3 * edge];
  return std::hypot(r[0], r[1], r[2]);
}

double NeighborGraph::shortest_distance() const
{
  double shortest = INFINITY;
  for (int64_t e = 0; e < n_edges; ++e) shortest = std::min(shortest, distance(e));
  return shortest;
}

double NeighborGraph::shortest_distance(int64_t node) const
{
  double shortest = INFINITY;
  for (int64_t e = 0; e < n_edges; ++e)
    if (source[e] == node) shortest = std::min(shortest, distance(e));
  return shortest;
}

}    // namespace spinconv
