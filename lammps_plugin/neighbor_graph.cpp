// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbor_graph.h"

#include "atom.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace spinconv {

void NeighborGraph::build(const Atom &atom, const NeighList &list, const std::vector<int64_t> &number_of_type, double cutoff,
                          double angstrom, Images images)
{
  number_the_nodes(atom, number_of_type, images);
  if (images == Images::folded) find_owners(atom);
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

void NeighborGraph::number_the_nodes(const Atom &atom, const std::vector<int64_t> &number_of_type, Images images)
{
  const int n_all = atom.nlocal + atom.nghost;
  node_of_atom.assign(n_all, -1);
  atom_of_node.clear();
  numbers.clear();
  add_nodes(atom, number_of_type, 0, atom.nlocal);
  n_owned = static_cast<int64_t>(numbers.size());
  if (images == Images::ghosts) add_nodes(atom, number_of_type, atom.nlocal, n_all);
}

void NeighborGraph::add_nodes(const Atom &atom, const std::vector<int64_t> &number_of_type, int first, int last)
{
  for (int i = first; i < last; ++i) {
    const auto number = number_of_type[atom.type[i]];
    if (number == 0) continue;
    node_of_atom[i] = static_cast<int>(numbers.size());
    atom_of_node.push_back(i);
    numbers.push_back(number);
  }
}

// On one process every ghost is the image of an atom that this process owns: the one with its ID.
void NeighborGraph::find_owners(const Atom &atom)
{
  const bool has_map = atom.map_style != Atom::MAP_NONE;
  if (!has_map) {
    by_tag.clear();
    for (int i = 0; i < atom.nlocal; ++i) by_tag.emplace_back(atom.tag[i], i);
    std::sort(by_tag.begin(), by_tag.end());
  }
  for (int j = atom.nlocal; j < atom.nlocal + atom.nghost; ++j) {
    const auto tag = atom.tag[j];
    int owner = -1;
    if (has_map) {
      owner = const_cast<Atom &>(atom).map(tag);
    } else {
      const auto found = std::lower_bound(by_tag.begin(), by_tag.end(), std::make_pair(tag, -1));
      if (found != by_tag.end() && found->first == tag) owner = found->second;
    }
    if (owner >= 0 && owner < atom.nlocal) node_of_atom[j] = node_of_atom[owner];
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
        r[a] = to_angstrom * (atom.x[j][a] - here[a]);
        square += r[a] * r[a];
      }
      if (square >= cutoff_squared || node_of_atom[j] < 0) continue;
      target[e] = node;
      source[e] = node_of_atom[j];
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
    if (target[e] == node) shortest = std::min(shortest, distance(e));
  return shortest;
}

}    // namespace spinconv
