// PairSpinConv asked by other commands and by programs: the numbers of atoms, and what it takes.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "atom.h"
#include "error.h"

#include <cstring>

using namespace LAMMPS_NS;

// For `fix pair`, `extract_peratom` and the Python module: in the unit of the run, zero for atoms that are no part of the model.
template <class Number> void PairSpinConv::spread(const std::vector<Number> &of_nodes, double unit, std::vector<double> &of_atoms) const
{
  of_atoms.assign(atom->nmax, 0.0);
  for (size_t node = 0; node < of_nodes.size(); ++node) of_atoms[nodes.atoms()[node]] = unit * of_nodes[node];
}

// From a device when somebody asks.
void PairSpinConv::keep_peratom_output()
{
  energies_are_there = outside_are_there = device_atoms != nullptr;
  if (device_atoms) return;
  spread(sums.energies, energy_unit, peratom_energy);
  if (watch.knows()) spread(watch.outside(), 1.0, peratom_outside);
  if (models.size() < 2) return;
  spread(force_deviations, energy_unit / angstrom, peratom_force_deviation);
  spread(energy_deviations, energy_unit, peratom_energy_deviation);
}

void PairSpinConv::bring_peratom_output(const char *name)
{
  try {
    if (energies_are_there && strcmp(name, "energy") == 0) {
      device_atoms->read_energies(sums.energies);
      spread(sums.energies, energy_unit, peratom_energy);
      energies_are_there = false;
    }
    if (outside_are_there && watch.knows() && strcmp(name, "outside") == 0) {
      std::vector<char> outside;
      device_atoms->read_outside(outside);
      spread(outside, 1.0, peratom_outside);
      outside_are_there = false;
    }
  } catch (const spinconv::Error &reason) {
    error->one(FLERR, "pair_style spinconv: {}", reason.what());
  }
}

void *PairSpinConv::extract_peratom(const char *name, int &n_columns)
{
  n_columns = 0;
  bring_peratom_output(name);
  if (strcmp(name, "energy") == 0) return peratom_energy.data();
  if (strcmp(name, "outside") == 0) return watch.knows() ? peratom_outside.data() : nullptr;
  if (models.size() < 2) return nullptr;
  if (strcmp(name, "force_deviation") == 0) return peratom_force_deviation.data();
  if (strcmp(name, "energy_deviation") == 0) return peratom_energy_deviation.data();
  return nullptr;
}

// The flags are those by which `fix pair` may switch an output on; these always are.
void *PairSpinConv::extract(const char *name, int &n_dimensions)
{
  n_dimensions = 0;
  if (strcmp(name, "model_seconds") == 0) return &model_seconds;
  if (strcmp(name, "energy_flag") == 0) return &always_on;
  if (strcmp(name, "outside_flag") == 0) return watch.knows() ? &always_on : nullptr;
  const bool is_committees = strcmp(name, "force_deviation_flag") == 0 || strcmp(name, "energy_deviation_flag") == 0;
  return is_committees && models.size() > 1 ? &always_on : nullptr;
}

double PairSpinConv::memory_usage()
{
  const double per_edge = 2 * sizeof(int64_t) + (3 + 3 * results.size()) * sizeof(double);
  const double of_neighbors = device_atoms ? device_atoms->memory_usage() : per_edge * static_cast<double>(graph.view().n_edges);
  return Pair::memory_usage() + of_neighbors + 3.0 * sizeof(double) * atom->nmax;
}
