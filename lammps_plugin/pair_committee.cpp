// PairSpinConv where several models differ: the numbers that other commands ask for, the file, and the end of a run.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "fix_deviation_files.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "timer.h"
#include "universe.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

// A partition that ends leaves the others waiting for it, as beads of a path integral do for each other.
void PairSpinConv::check_partitions(const spinconv::PairSettings &wanted) const
{
  if (wanted.halt > 0.0 && universe->nworlds > 1)
    error->all(FLERR, "pair_style spinconv: `halt` must be 0 with `-partition`, where others would wait for the one that ends; got {}",
               wanted.halt);
}

void PairSpinConv::claim_deviation_file(const spinconv::PairSettings &wanted)
{
  if (!wanted.is_committee() || wanted.out_freq == 0) return FixDeviationFiles::give_up(this);
  on_all([&] { FixDeviationFiles::claim(lmp, this, wanted.out_file); });
}

// At the start of every run. The file belongs to this LAMMPS: what a run has written stays when another style comes between.
void PairSpinConv::prepare_deviations()
{
  step_to_end.reset();
  const bool has_file = asked.out_freq > 0;
  if (!asked.is_committee() || (!has_file && asked.halt == 0.0)) return;
  auto &files = FixDeviationFiles::find_or_make(lmp);
  files.add(this, [this] { end_step(); });
  if (has_file) on_all([&] { files.open(this, asked.out_file, update->unit_style); });
}

void PairSpinConv::forget_deviations()
{
  step_to_end.reset();
  last_written = {};
  if (auto *files = FixDeviationFiles::find(lmp)) files->forget(this);
}

void PairSpinConv::find_deviations()
{
  sum_forces_of_models();
  const size_t n_owned = graph.view().n_atoms;
  spinconv::force_deviations(forces_of_models, n_owned, models.size(), force_deviations);
  spinconv::energy_deviations(results, n_owned, energy_deviations);

  const auto spread = spread_over_atoms();
  // `compute pair` sums over processes
  extra[0] = comm->me == 0 ? spread.largest : 0.0;
  extra[1] = comm->me == 0 ? spread.smallest : 0.0;
  extra[2] = comm->me == 0 ? spread.mean : 0.0;

  // Of several evaluations in a step the last is that of its frame: the others are moves that were tried, or a line searched.
  if (step_to_end && step_to_end->step != update->ntimestep) end_step();
  step_to_end = StepToEnd{update->ntimestep, spread, {}, 0.0};
  if (!has_line(*step_to_end)) return;
  step_to_end->virial = spinconv::virial_deviation(sum_virials_of_models(), static_cast<double>(atom->natoms));
  step_to_end->mark = mark_of_frame();
}

bool PairSpinConv::has_line(const StepToEnd &end) const
{
  return asked.out_freq > 0 && (halts(end) || end.step % asked.out_freq == 0);
}

bool PairSpinConv::halts(const StepToEnd &end) const
{
  return asked.halt > 0.0 && end.force.largest > asked.halt;
}

// The last step of a run is the first of the next, and has one line unless its atoms were changed between.
void PairSpinConv::end_step()
{
  if (!step_to_end) return;
  const auto end = *step_to_end;
  step_to_end.reset();
  const bool is_same = last_written && last_written->step == end.step && std::abs(end.mark - last_written->mark) <= 1e-10 * end.mark;
  if (has_line(end) && !is_same) {
    on_all([&] {
      if (comm->me == 0) FixDeviationFiles::find(lmp)->file_of(this).write(end.step, end.virial, end.force);
    });
    last_written = end;
  }
  if (!halts(end)) return;
  if (comm->me == 0)
    utils::logmesg(lmp, "pair_style spinconv: at step {} the largest force deviation is {:.6g}, above `halt` {}: the run ends\n", end.step,
                   end.force.largest, asked.halt);
  timer->force_timeout();
}

// Of elements and distances, the same for the same frame in any order and on any processes; all that a model can see.
double PairSpinConv::mark_of_frame() const
{
  const auto view = graph.view();
  double here = 0.0, sum = 0.0;
  for (int64_t e = 0; e < view.n_edges; ++e) {
    const double *r = &view.vectors[3 * e];
    here += static_cast<double>(view.numbers[view.source[e]]) * (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
  }
  for (int64_t node = 0; node < view.n_atoms; ++node) here += static_cast<double>(view.numbers[node]);
  MPI_Allreduce(&here, &sum, 1, MPI_DOUBLE, MPI_SUM, world);
  return sum;
}

void PairSpinConv::sum_forces_of_models()
{
  const auto view = graph.view();
  const size_t width = 3 * models.size();
  forces_of_models.assign(width * (view.n_atoms + view.n_ghosts), 0.0);
  for (size_t m = 0; m < models.size(); ++m)
    for (int64_t e = 0; e < view.n_edges; ++e)
      for (int a = 0; a < 3; ++a) {
        const double gradient = results[m].edge_gradients[3 * e + a];
        forces_of_models[width * view.target[e] + 3 * m + a] += gradient;
        forces_of_models[width * view.source[e] + 3 * m + a] -= gradient;
      }
  if (comm->nprocs > 1) exchange.from_ghosts(forces_of_models.data(), static_cast<int64_t>(width));
}

std::vector<std::array<double, 9>> PairSpinConv::sum_virials_of_models() const
{
  const auto view = graph.view();
  std::vector<std::array<double, 9>> virials;
  for (const auto &of_model : results) {
    auto here = spinconv::virial_of(view, of_model), sum = here;
    MPI_Allreduce(here.data(), sum.data(), 9, MPI_DOUBLE, MPI_SUM, world);
    for (auto &number : sum) number *= energy_unit;
    virials.push_back(sum);
  }
  return virials;
}

spinconv::Deviation PairSpinConv::spread_over_atoms() const
{
  const double unit = energy_unit / angstrom;
  double extremes[2] = {-INFINITY, -INFINITY}, sums[2] = {0.0, static_cast<double>(force_deviations.size())};
  for (const double of_atom : force_deviations) {
    extremes[0] = std::max(extremes[0], of_atom);
    extremes[1] = std::max(extremes[1], -of_atom);
    sums[0] += of_atom;
  }
  MPI_Allreduce(MPI_IN_PLACE, extremes, 2, MPI_DOUBLE, MPI_MAX, world);
  MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_DOUBLE, MPI_SUM, world);
  if (sums[1] == 0.0) return {};
  return {unit * extremes[0], -unit * extremes[1], unit * sums[0] / sums[1]};
}
