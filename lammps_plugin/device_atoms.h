// Atoms of LAMMPS on a device: lists of neighbors go there when LAMMPS has made new ones, positions at every step, and sums of nodes come back.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "node_sums.h"
#include "nodes.h"
#include "spinconv/on_device.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class Atom;
class NeighList;
}    // namespace LAMMPS_NS

namespace spinconv {

/// Rows are all atoms of LAMMPS, its ghosts among them. Edges are found on the device.
class DeviceAtoms {
 public:
  DeviceAtoms(OnDevice &there, const Nodes &nodes) : there_(there), nodes_(nodes) {}

  /// `list` must be a full list; `angstrom` is one in LAMMPS' unit. Throws Error after all exchanges between processes, as Model::evaluate does.
  void evaluate(const LAMMPS_NS::Atom &atom, const LAMMPS_NS::NeighList &list, double angstrom, const Request &request, const Wanted &wanted,
                NodeSums &sums);

  // Of the last evaluation.
  int64_t count_outside() { return there_.count_outside(); }
  void read_outside(std::vector<char> &outside) { there_.read_outside(outside); }
  void read_energies(std::vector<double> &energies) { there_.read_energies(energies); }
  /// On the host; borrowed until the next call.
  Graph graph() { return there_.read_graph(); }

  /// Bytes of the host.
  double memory_usage() const;

 private:
  void bring_neighbors(const LAMMPS_NS::NeighList &);
  void list_candidates(const LAMMPS_NS::NeighList &);

  OnDevice &there_;
  const Nodes &nodes_;
  int64_t version_ = -1;              // of the nodes that are there
  std::vector<int32_t> first, rows;   // candidates of every owned node
};

}    // namespace spinconv
