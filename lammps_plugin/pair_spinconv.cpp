// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "spinconv/elements.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;

/// The only name that this library shows; spinconvplugin.cpp looks it up.
extern "C" __attribute__((visibility("default"))) Pair *spinconv_create_pair(LAMMPS *lmp)
{
  return new PairSpinConv(lmp);
}

PairSpinConv::PairSpinConv(LAMMPS *lmp) : Pair(lmp)
{
  single_enable = 0;              // not a sum over pairs
  restartinfo = 0;                // give pair_style and pair_coeff again after read_restart
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;    // add_virial() does it, in one form for all of the system and for each atom
  centroidstressflag = CENTROID_NOTAVAIL;
}

PairSpinConv::~PairSpinConv()
{
  if (!allocated || copymode) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairSpinConv::allocate()
{
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  forget_coeffs();
}

void PairSpinConv::forget_coeffs()
{
  number_of_type.assign(atom->ntypes + 1, 0);
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 0;
}

// pair_style spinconv model.pt [precision float32|float64] [device cpu|cuda|cuda:<index>]

void PairSpinConv::settings(int narg, char **arg)
{
  if (comm->nprocs > 1)
    error->all(FLERR, "pair_style spinconv runs on one MPI process for now, got {}; start LAMMPS without mpirun", comm->nprocs);
  if (narg < 1) error->all(FLERR, "pair_style spinconv wants `model.pt [precision float32|float64] [device cpu|cuda]`, got nothing");
  spinconv::Options options;
  for (int i = 1; i < narg; i += 2) {
    const std::string keyword = arg[i];
    if (keyword != "precision" && keyword != "device")
      error->all(FLERR, "pair_style spinconv knows the keywords `precision` and `device`, got {}", keyword);
    if (i + 1 == narg) error->all(FLERR, "pair_style spinconv: keyword `{}` wants a value", keyword);
    (keyword == "precision" ? options.dtype : options.device) = arg[i + 1];
  }
  if (!options.dtype.empty() && options.dtype != "float32" && options.dtype != "float64")
    error->all(FLERR, "pair_style spinconv: `precision` must be float32 or float64, got {}", options.dtype);

  const std::string found = utils::get_potential_file_path(arg[0]);
  model_file = found.empty() ? arg[0] : found;
  try {
    model = std::make_unique<spinconv::Model>(model_file, options);
  } catch (const spinconv::Error &reason) {
    error->all(FLERR, "pair_style spinconv: {}", reason.what());
  }
  const auto &info = model->info();
  if (!info.conservative)
    error->all(FLERR, "pair_style spinconv: the forces of {} are not the gradient of its energy; this version runs only models whose are",
               model_file);
  if (allocated) forget_coeffs();    // they named elements of another model
  if (comm->me == 0)
    utils::logmesg(lmp, "SpinConv model {}: {}, cutoff {} A, elements {}, {} on {}\n", model_file, info.kind, info.cutoff,
                   spinconv::symbol_list(info.elements), options.dtype.empty() ? info.dtype : options.dtype, options.device);
}

// pair_coeff * * <element of type 1> ... ; NULL for types that are not part of the model

void PairSpinConv::coeff(int narg, char **arg)
{
  const int ntypes = atom->ntypes;
  if (narg < 2 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0 || narg - 2 != ntypes)
    error->all(FLERR, "pair_coeff wants `* * <element of type 1> ...` with {} elements (or NULL), got `{}`", ntypes,
               utils::join_words(std::vector<std::string>(arg, arg + narg), " "));
  if (!allocated) allocate();
  forget_coeffs();
  for (int type = 1; type <= ntypes; ++type) number_of_type[type] = element_of(arg[type + 1]);
  if (std::count(number_of_type.begin(), number_of_type.end(), 0) == ntypes + 1)
    error->all(FLERR, "pair_coeff: at least one type must be an element, got NULL for all {}", ntypes);

  // Alone, this style answers for all pairs; within hybrid, pairs with NULL belong to others.
  const bool alone = force->pair == this;
  for (int i = 1; i <= ntypes; ++i)
    for (int j = i; j <= ntypes; ++j) setflag[i][j] = alone || (number_of_type[i] && number_of_type[j]);
}

int64_t PairSpinConv::element_of(const std::string &symbol) const
{
  if (symbol == "NULL") return 0;
  const auto &known = model->info().elements;
  const auto number = spinconv::number_of(symbol);
  if (std::find(known.begin(), known.end(), number) == known.end())
    error->all(FLERR, "pair_coeff: {} does not know element `{}`; it knows {}", model_file, symbol, spinconv::symbol_list(known));
  return number;
}

void PairSpinConv::init_style()
{
  if (strcmp(update->unit_style, "metal") != 0)
    error->all(FLERR, "pair_style spinconv wants `units metal` for now, got {}", update->unit_style);
  if (!force->newton_pair) error->all(FLERR, "pair_style spinconv wants `newton on` for pairs, got off");
  if (!atom->tag_enable)
    error->all(FLERR, "pair_style spinconv finds periodic images by atom IDs, which `atom_modify id no` took away; use `atom_modify id yes`");
  refuse_holes_in_the_neighbor_list();
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

// A pair left out of the list, for the sake of bonds or by `neigh_modify exclude`, would silently be another model.
void PairSpinConv::refuse_holes_in_the_neighbor_list()
{
  if (neighbor->nex_type + neighbor->nex_group + neighbor->nex_mol > 0)
    error->all(FLERR, "pair_style spinconv needs every neighbor, but `neigh_modify exclude` leaves some out; use `neigh_modify exclude none`");
  const bigint n_special[] = {0, atom->nbonds, atom->nangles, atom->ndihedrals};
  for (int k = 1; k <= 3; ++k)
    if (atom->molecular != Atom::ATOMIC && n_special[k] > 0 && force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0)
      error->all(FLERR,
                 "pair_style spinconv needs every neighbor, but `special_bonds` leaves out 1-{} pairs; use `special_bonds lj/coul 1.0 1.0 1.0`",
                 k + 1);
}

double PairSpinConv::init_one(int, int)
{
  return model->info().cutoff;
}

void PairSpinConv::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  graph.build(*atom, *list, number_of_type, model->info().cutoff);
  try {
    model->evaluate(graph.view(), true, result);
  } catch (const spinconv::Error &reason) {
    error->one(FLERR, "pair_style spinconv at step {}: {}", update->ntimestep, reason.what());
  }
  check_result();
  if (eflag_either) add_energy();
  add_forces();
  if (vflag_either) add_virial();
}

void PairSpinConv::add_energy()
{
  if (eflag_global) eng_vdwl += result.energy;
  if (!eflag_atom) return;
  const auto &atoms = graph.atoms();
  for (size_t node = 0; node < atoms.size(); ++node) eatom[atoms[node]] += result.atom_energies[node];
}

// dE/dr of an edge from j to i, r = x_j - x_i, pulls i along and j against it. Images are folded onto the atoms they are images of.
void PairSpinConv::add_forces()
{
  double **f = atom->f;
  const auto view = graph.view();
  const auto &atoms = graph.atoms();
  for (int64_t e = 0; e < view.n_edges; ++e) {
    const double *gradient = &result.edge_gradients[3 * e];
    double *fi = f[atoms[view.target[e]]], *fj = f[atoms[view.source[e]]];
    for (int a = 0; a < 3; ++a) {
      fi[a] += gradient[a];
      fj[a] -= gradient[a];
    }
  }
}

// W = -sum of r (x) dE/dr, symmetric in total because the energy does not change when the system is rotated; every edge is made
// symmetric and shared by its two atoms, so that what the atoms have sums to the whole.
void PairSpinConv::add_virial()
{
  const auto view = graph.view();
  const auto &atoms = graph.atoms();
  for (int64_t e = 0; e < view.n_edges; ++e) {
    const double *r = &view.vectors[3 * e], *g = &result.edge_gradients[3 * e];
    const double w[6] = {-r[0] * g[0],
                         -r[1] * g[1],
                         -r[2] * g[2],
                         -0.5 * (r[0] * g[1] + r[1] * g[0]),
                         -0.5 * (r[0] * g[2] + r[2] * g[0]),
                         -0.5 * (r[1] * g[2] + r[2] * g[1])};
    if (vflag_global)
      for (int k = 0; k < 6; ++k) virial[k] += w[k];
    if (vflag_atom)
      for (int k = 0; k < 6; ++k) {
        vatom[atoms[view.target[e]]][k] += 0.5 * w[k];
        vatom[atoms[view.source[e]]][k] += 0.5 * w[k];
      }
  }
}

// Before anything is added, so that the last good state of LAMMPS stays as it is.
void PairSpinConv::check_result()
{
  const auto view = graph.view();
  int64_t bad = -1;
  for (int64_t node = 0; node < view.n_atoms && bad < 0; ++node)
    if (!std::isfinite(result.atom_energies[node])) bad = node;
  for (int64_t k = 0; k < 3 * view.n_edges && bad < 0; ++k)
    if (!std::isfinite(result.edge_gradients[k])) bad = view.target[k / 3];
  if (bad < 0) return;
  error->one(FLERR, "pair_style spinconv: energy or force of atom {} is not a number at step {}; its nearest neighbor is at {:.4g} A",
             atom->tag[graph.atoms()[bad]], update->ntimestep, shortest_distance(bad));
}

double PairSpinConv::shortest_distance(int64_t node) const
{
  const auto view = graph.view();
  double shortest = INFINITY;
  for (int64_t e = 0; e < view.n_edges; ++e)
    if (view.target[e] == node) shortest = std::min(shortest, std::hypot(view.vectors[3 * e], view.vectors[3 * e + 1], view.vectors[3 * e + 2]));
  return shortest;
}
