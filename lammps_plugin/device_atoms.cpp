// SPDX-License-Identifier: GPL-2.0-or-later
#include "device_atoms.h"

#include "atom.h"
#include "neigh_list.h"

#include <limits>

using namespace LAMMPS_NS;

namespace spinconv {

static_assert(sizeof(int) == sizeof(int32_t), "indices of LAMMPS go to the device as they are");

void DeviceAtoms::evaluate(const Atom &atom, const NeighList &list, double angstrom, const Request &request, const Wanted &wanted, NodeSums &sums)
{
  try {
    if (version_ != nodes_.version()) bring_neighbors(list);
    there_.write_positions(atom.nlocal + atom.nghost > 0 ? atom.x[0] : nullptr, 1.0 / angstrom);
  } catch (...) {
    version_ = -1;
    there_.take_part(nodes_.n_owned(), nodes_.n_ghosts(), request);
    throw;
  }
  there_.evaluate(request);
  there_.read_forces(sums.forces);
  if (wanted.energies) there_.read_energies(sums.energies);
  sums.energy = 0.0;
  for (size_t node = 0; wanted.energies && node < sums.energies.size(); ++node) sums.energy += sums.energies[node];
  if (wanted.virial) sums.virial = there_.read_virial();
  if (wanted.virials) there_.read_virials(sums.virials);
  if (wanted.centroid_virials) there_.read_centroid_virials(sums.centroid_virials);
}

void DeviceAtoms::bring_neighbors(const NeighList &list)
{
  version_ = -1;    // until all is there
  list_candidates(list);
  there_.set_atoms(nodes_.n_owned(), nodes_.n_ghosts(), nodes_.numbers().data());
  Candidates candidates;
  candidates.n_rows = nodes_.n_indices();
  candidates.node = nodes_.of_atoms().data();
  candidates.row = nodes_.atoms().data();
  candidates.first = first.data();
  candidates.rows = rows.data();
  there_.set_candidates(candidates);
  version_ = nodes_.version();
}

// By node; a list has its atoms in any order, and need not have all.
void DeviceAtoms::list_candidates(const NeighList &list)
{
  first.assign(nodes_.n_owned() + 1, 0);
  int64_t n_rows = 0;
  for (int k = 0; k < list.inum; ++k) {
    const int i = list.ilist[k], node = nodes_.node_of(i);
    if (node < 0) continue;
    int n = 0;
    for (int m = 0; m < list.numneigh[i]; ++m) n += nodes_.node_of(list.firstneigh[i][m] & NEIGHMASK) >= 0;
    first[node + 1] = n;
    n_rows += n;
  }
  if (n_rows > std::numeric_limits<int32_t>::max()) throw Error("there are more neighbors than kernels can number (2^31); use several processes");
  for (int64_t node = 0; node < nodes_.n_owned(); ++node) first[node + 1] += first[node];
  rows.resize(n_rows);
  for (int k = 0; k < list.inum; ++k) {
    const int i = list.ilist[k], node = nodes_.node_of(i);
    if (node < 0) continue;
    int32_t *row = rows.data() + first[node];
    for (int m = 0; m < list.numneigh[i]; ++m) {
      const int j = list.firstneigh[i][m] & NEIGHMASK;
      if (nodes_.node_of(j) >= 0) *row++ = j;
    }
  }
}

double DeviceAtoms::memory_usage() const { return static_cast<double>((first.capacity() + rows.capacity()) * sizeof(int32_t)); }

}    // namespace spinconv
