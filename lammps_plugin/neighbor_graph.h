// The adaptor: from the neighbor list of LAMMPS to the graph of the model, whose edges know their vectors.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "nodes.h"
#include "spinconv/model.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class NeighList;
}    // namespace LAMMPS_NS

namespace spinconv {

/// Edges between nodes, made on the host at every step. All buffers are kept from step to step.
class NeighborGraph {
 public:
  explicit NeighborGraph(const Nodes &nodes) : nodes_(nodes) {}

  /// `list` must be a full list. Edges are those within `cutoff` (Å); `angstrom` is one in LAMMPS' unit.
  void build(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::NeighList &list, double cutoff, double angstrom);

  /// As the model wants it; borrowed until the next build.
  Graph view() const;

 private:
  void make_room(const LAMMPS_NS::NeighList &);
  void find_edges(const LAMMPS_NS::Atom &, const LAMMPS_NS::NeighList &, double cutoff, double angstrom);

  const Nodes &nodes_;
  int64_t n_edges = 0;
  std::vector<int64_t> source, target;    // room for all pairs of the list, of which those within the cutoff are edges
  std::vector<double> vectors;
};

/// Å, infinite without edges; and of the edges that one atom sends.
double shortest_distance(const Graph &graph);
double shortest_distance(const Graph &graph, int64_t node);

}    // namespace spinconv
