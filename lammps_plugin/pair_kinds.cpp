// PairSpinConv for models of other kinds: those that run on one process only, and those that say forces themselves.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "atom.h"
#include "comm.h"
#include "error.h"

#include <cmath>

using namespace LAMMPS_NS;

void PairSpinConv::check_kinds(const std::vector<spinconv::Model> &loaded, const std::vector<std::string> &files) const
{
  for (size_t m = 0; m < loaded.size(); ++m) {
    const auto &info = loaded[m].info();
    if (!info.has_stages && comm->nprocs > 1)
      error->all(FLERR,
                 "pair_style spinconv: {} is of kind `{}`, which is computed as a whole on one MPI rank, got {}; run LAMMPS on one rank, or take "
                 "a model of a kind with stages, such as harmonic",
                 files[m], info.kind, comm->nprocs);
    if (info.direct_forces && loaded.size() > 1)
      error->all(FLERR, "pair_style spinconv: a committee must be of models whose forces are gradients, those of {} are direct", files[m]);
  }
}

// The stress is a derivative of the energy, which these forces know nothing of. No number is better than a wrong one: a thermostat does
// not notice, `thermo_style` shows it, and a barostat stops the run.
void PairSpinConv::deny_virial()
{
  if (vflag_global)
    for (int k = 0; k < 6; ++k) virial[k] = NAN;
  for (const int atom_index : nodes.atoms()) {
    if (vflag_atom)
      for (int k = 0; k < 6; ++k) vatom[atom_index][k] = NAN;
    if (cvflag_atom)
      for (int k = 0; k < 9; ++k) cvatom[atom_index][k] = NAN;
  }
}

void PairSpinConv::warn_of_missing_virial() const
{
  if (has_direct_forces())
    error->warning(FLERR, "pair_style spinconv: the forces of {} are direct, no gradient of its energy: dynamics conserves no energy, and the "
                          "pressure is not a number; relax by `min_style fire`, in a fixed cell", asked.files[0]);
}
