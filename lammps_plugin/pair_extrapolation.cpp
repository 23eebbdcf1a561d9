// PairSpinConv where atoms leave what the models were trained on: the warning, and the numbers that other commands ask for.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "fmt/format.h"
#include "update.h"

#include <cmath>

using namespace LAMMPS_NS;

// At every step, after the evaluation; no process hears of another here. A device counts where somebody wants the number, and edges come from
// there once a run at most, to tell the worst.
void PairSpinConv::look_for_extrapolation()
{
  if (!watch.knows()) {
    if (!has_warned) shortest = spinconv::shortest_distance(edges());
    return;
  }
  if (!device_atoms)
    watch.look(graph.view());
  else if (has_warned && !eflag_global)
    return;
  n_outside = device_atoms ? device_atoms->count_outside() : watch.n_outside();
  if (device_atoms && !has_warned && n_outside > 0) watch.look(device_atoms->graph());
  pvector[nextra - 1] = static_cast<double>(n_outside);    // `compute pair` sums over processes
}

// What this process would warn of; nothing once a run has its warning.
spinconv::News PairSpinConv::news_of_extrapolation() const
{
  const auto &worst = watch.worst();
  if (has_warned || n_outside == 0 || worst.severity == 0.0) return {};
  const auto name = [&](int64_t node) { return node < 0 ? "" : name_of(node); };
  return {worst.severity, worst.in_words(name(worst.atom), name(worst.neighbor))};
}

// All processes come here in the same step, because all have got the same news.
void PairSpinConv::warn_of_extrapolation(const spinconv::News &news)
{
  if (news.urgency == 0.0) return;
  has_warned = true;
  auto mine = static_cast<bigint>(n_outside), all = mine;
  MPI_Reduce(&mine, &all, 1, MPI_LMP_BIGINT, MPI_SUM, 0, world);
  if (comm->me == 0)
    error->warning(FLERR, "pair_style spinconv at step {}: the model extrapolates for {} atoms, which is said once a run: {}",
                   update->ntimestep, all, news.text);
}

// For files that do not know what they were trained on. Once a run: later, a distance that short shows in the energy.
void PairSpinConv::warn_of_short_distances()
{
  if (has_warned || watch.knows()) return;
  has_warned = true;
  constexpr double too_short = 0.5;    // Å; hydrogen molecules have 0.74
  MPI_Allreduce(MPI_IN_PLACE, &shortest, 1, MPI_DOUBLE, MPI_MIN, world);
  if (shortest < too_short && comm->me == 0)
    error->warning(FLERR, "pair_style spinconv: two atoms are {:.3g} A apart; no model was trained for that", shortest);
}
