// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbor_graph.h"

#include "atom.h"
#include "neigh_list.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

namespace spinconv {
namespace {

double distance(const Graph &graph, int64_t edge)
{
  const double *r = &graph.vectors[3 * edge];
  return std::hypot(r[0], r[1], r[2]);
}

}    // namespace

void NeighborGraph::build(const Atom &atom, const NeighList &list, double cutoff, double angstrom)
{
  make_room(list);
  find_edges(atom, list, cutoff, angstrom);
}

Graph NeighborGraph::view() const
{
  Graph graph;
  graph.n_atoms = nodes_.n_owned();
  graph.n_ghosts = nodes_.n_ghosts();
  graph.numbers = nodes_.numbers().data();
  graph.n_edges = n_edges;
  graph.source = source.data();
  graph.target = target.data();
  graph.vectors = vectors.data();
  return graph;
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
    const int node = nodes_.node_of(i);
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
      if (square >= cutoff_squared || nodes_.node_of(j) < 0) continue;
      source[e] = node;
      target[e] = nodes_.node_of(j);
      ++e;
    }
  }
  n_edges = e;
}

double shortest_distance(const Graph &graph)
{
  double shortest = INFINITY;
  for (int64_t e = 0; e < graph.n_edges; ++e) shortest = std::min(shortest, distance(graph, e));
  return shortest;
}

double shortest_distance(const Graph &graph, int64_t node)
{
  double shortest = INFINITY;
  for (int64_t e = 0; e < graph.n_edges; ++e)
    if (graph.source[e] == node) shortest = std::min(shortest, distance(graph, e));
  return shortest;
}

}    // namespace spinconv
