// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbor_graph.h"

#include "atom.h"
#include "neigh_list.h"

#include <algorithm>

using namespace LAMMPS_NS;

namespace spinconv {

void NeighborGraph::build(const Atom &atom, const NeighList &list, const std::vector<int64_t> &number_of_type, double cutoff)
{
  number_the_nodes(atom, number_of_type);
  find_owners(atom);

  size_t n_edges = 0;
  for_each_edge(atom, list, cutoff, [&](int, int, const double *) { ++n_edges; });
  source.resize(n_edges);
  target.resize(n_edges);
  vectors.resize(3 * n_edges);

  size_t e = 0;
  for_each_edge(atom, list, cutoff, [&](int i, int j, const double *r) {
    target[e] = i;
    source[e] = j;
    std::copy_n(r, 3, &vectors[3 * e]);
    ++e;
  });
}

Graph NeighborGraph::view() const
{
  Graph graph;
  graph.n_atoms = static_cast<int64_t>(numbers.size());
  graph.numbers = numbers.data();
  graph.n_edges = static_cast<int64_t>(source.size());
  graph.source = source.data();
  graph.target = target.data();
  graph.vectors = vectors.data();
  return graph;
}

void NeighborGraph::number_the_nodes(const Atom &atom, const std::vector<int64_t> &number_of_type)
{
  node_of_atom.assign(static_cast<size_t>(atom.nlocal) + atom.nghost, -1);
  atom_of_node.clear();
  numbers.clear();
  for (int i = 0; i < atom.nlocal; ++i) {
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

/// visit(i, j, x_j - x_i) for every image within the cutoff; i and j are nodes.
template <class Visit> void NeighborGraph::for_each_edge(const Atom &atom, const NeighList &list, double cutoff, Visit visit) const
{
  const double cutoff_squared = cutoff * cutoff;
  for (int k = 0; k < list.inum; ++k) {
    const int i = list.ilist[k];
    const int node = node_of_atom[i];
    if (node < 0) continue;
    const double *here = atom.x[i];
    const int *neighbors = list.firstneigh[i];
    for (int n = 0; n < list.numneigh[i]; ++n) {
      const int j = neighbors[n] & NEIGHMASK;
      const double *there = atom.x[j];
      const double r[3] = {there[0] - here[0], there[1] - here[1], there[2] - here[2]};
      if (r[0] * r[0] + r[1] * r[1] + r[2] * r[2] >= cutoff_squared || node_of_atom[j] < 0) continue;
      visit(node, node_of_atom[j], r);
    }
  }
}

}    // namespace spinconv
