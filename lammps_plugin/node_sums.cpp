// SPDX-License-Identifier: GPL-2.0-or-later
#include "node_sums.h"

#include <algorithm>
#include <cmath>

namespace spinconv {
namespace {

// dE/dr of an edge from j to i, r = x_j - x_i, pulls i along and j against it.
void add_up_forces(const Graph &graph, const Result &result, std::vector<double> &forces)
{
  for (int64_t e = 0; e < graph.n_edges; ++e)
    for (int a = 0; a < 3; ++a) {
      const double gradient = result.edge_gradients[3 * e + a];
      forces[3 * graph.target[e] + a] += gradient;
      forces[3 * graph.source[e] + a] -= gradient;
    }
}

// W = -sum of r (x) dE/dr, symmetric in total because the energy does not change when the system is rotated; every edge is made
// symmetric and shared by its two atoms, so that what the atoms have sums to the whole.
void add_up_virials(const Graph &graph, const Result &result, const Wanted &wanted, NodeSums &sums)
{
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double *r = &graph.vectors[3 * e], *g = &result.edge_gradients[3 * e];
    const double w[6] = {-r[0] * g[0],
                         -r[1] * g[1],
                         -r[2] * g[2],
                         -0.5 * (r[0] * g[1] + r[1] * g[0]),
                         -0.5 * (r[0] * g[2] + r[2] * g[0]),
                         -0.5 * (r[1] * g[2] + r[2] * g[1])};
    for (int k = 0; k < 6; ++k) {
      sums.virial[k] += w[k];
      if (!wanted.virials) continue;
      sums.virials[6 * graph.target[e] + k] += 0.5 * w[k];
      sums.virials[6 * graph.source[e] + k] += 0.5 * w[k];
    }
  }
}

// W_j = sum over atoms i of (x_i - x_j) (x) dE_i/dx_j, which makes the heat flux of a many-body potential exact (Fan et al.,
// Phys. Rev. B 92, 094301 (2015), eq. 13); from Result::centroid.
void add_up_centroid_virials(const Graph &graph, const Result &result, std::vector<double> &virials)
{
  for (int64_t e = 0; e < graph.n_edges; ++e) {
    const double *r = &graph.vectors[3 * e], *g = &result.edge_gradients[3 * e], *q = &result.centroid[9 * e];
    for (int k = 0; k < 9; ++k) {
      virials[9 * graph.target[e] + k] -= q[k];
      virials[9 * graph.source[e] + k] += q[k] - r[k / 3] * g[k % 3];
    }
  }
}

}    // namespace

std::vector<char> NodeSums::bad_nodes(int64_t n_atoms, const Wanted &wanted) const
{
  std::vector<char> is_bad(n_atoms, 0);
  for (int64_t k = 0; k < 3 * n_atoms; ++k)
    if (!std::isfinite(forces[k])) is_bad[k / 3] = 1;
  for (int64_t node = 0; wanted.energies && node < n_atoms; ++node)
    if (!std::isfinite(energies[node])) is_bad[node] = 1;
  if (std::count(is_bad.begin(), is_bad.end(), 1) == 0) is_bad.clear();
  return is_bad;
}

void add_up(const Graph &graph, const Result &result, const Wanted &wanted, NodeSums &sums)
{
  const int64_t n_nodes = graph.n_atoms + graph.n_ghosts;
  sums.energy = result.energy;
  sums.energies = result.atom_energies;
  sums.virial = {};
  if (wanted.virials) sums.virials.assign(6 * n_nodes, 0.0);
  if (wanted.centroid_virials) sums.centroid_virials.assign(9 * n_nodes, 0.0);
  if (!result.atom_forces.empty()) {    // of a model that says them itself
    sums.forces = result.atom_forces;
    sums.forces.resize(3 * n_nodes, 0.0);
    return;
  }
  sums.forces.assign(3 * n_nodes, 0.0);
  if (result.edge_gradients.empty()) return;    // there are no edges
  add_up_forces(graph, result, sums.forces);
  if (wanted.virial || wanted.virials) add_up_virials(graph, result, wanted, sums);
  if (wanted.centroid_virials) add_up_centroid_virials(graph, result, sums.centroid_virials);
}

}    // namespace spinconv
