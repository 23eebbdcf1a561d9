// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_spinconv.h"

#include "fix_deviation_files.h"
#include "model_card.h"
#include "neighbor_completeness.h"

#include "spinconv/elements.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "platform.h"
#include "update.h"
#include "utils.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

using namespace LAMMPS_NS;

/// The only name that this library shows; spinconvplugin.cpp looks it up.
extern "C" __attribute__((visibility("default"))) Pair *spinconv_create_pair(LAMMPS *lmp)
{
  return new PairSpinConv(lmp);
}

PairSpinConv::PairSpinConv(LAMMPS *lmp) : Pair(lmp), graph(nodes), exchange(*this, comm, nodes)
{
  single_enable = 0;              // not a sum over pairs
  restartinfo = 0;                // give pair_style and pair_coeff again after read_restart
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;    // add_virial() does it, in one form for all of the system and for each atom
  centroidstressflag = CENTROID_AVAIL;
}

PairSpinConv::~PairSpinConv()
{
  forget_deviations();
  FixDeviationFiles::give_up(this);
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

// A step that may fail on some processes and then ends LAMMPS on all.
void PairSpinConv::on_all(const std::function<void()> &step)
{
  std::string problem;
  try {
    step();
  } catch (const std::exception &reason) {
    problem = reason.what();
  }
  problem = spinconv::first_problem(*lmp, problem);
  if (!problem.empty()) error->all(FLERR, "pair_style spinconv: {}", problem);
}

// ---- the input

// pair_style spinconv model.pt [more models] [keyword value ...]

// All is read before anything changes: what fails leaves the style as it was, also where the caller catches it and goes on.
void PairSpinConv::settings(int narg, char **arg)
{
  if (models.empty() && atom->ntypes > 0) let_init_style_speak();
  spinconv::PairSettings wanted;
  on_all([&] {
    wanted = spinconv::parse_settings(std::vector<std::string>(arg, arg + narg));
    wanted.out_file = std::filesystem::absolute(wanted.out_file).string();    // opened later, when `shell cd` may have gone elsewhere
  });
  check_partitions(wanted);
  if (wanted.options.threads == 0) wanted.options.threads = comm->nthreads;
  wanted.options.process_on_node = spinconv::process_on_node(*lmp);
  auto loaded = load_models(wanted);
  check_kinds(loaded, wanted.files);
  claim_deviation_file(wanted);
  use_models(std::move(loaded));
  forget_deviations();
  asked = std::move(wanted);
  set_comm_sizes();
  if (allocated) forget_coeffs();    // they named elements of another model
  say_what_was_loaded();
}

// One process reads: a thousand that open the same file would be slow.
std::vector<spinconv::Model> PairSpinConv::load_models(spinconv::PairSettings &wanted)
{
  std::vector<spinconv::Model> loaded;
  for (auto &file : wanted.files) {
    std::error_code none;    // LAMMPS opens what it finds, and would wait for ever for a pipe that nobody writes to
    const std::string found = std::filesystem::exists(file, none) ? file : utils::get_potential_file_path(file);
    if (!found.empty()) file = found;
    std::string bytes;
    on_all([&] {
      if (comm->me == 0) bytes = spinconv::read_file(file);
    });
    bytes = spinconv::broadcast(*lmp, bytes);
    on_all([&] { loaded.push_back(spinconv::Model::from_bytes(bytes, wanted.options, file)); });
  }
  return loaded;
}

// A committee has its edges on the host, once for all of its models.
void PairSpinConv::use_models(std::vector<spinconv::Model> loaded)
{
  device_atoms.reset();
  energies_are_there = outside_are_there = false;
  models = std::move(loaded);
  has_kernels = std::any_of(models.begin(), models.end(), [](auto &model) { return model.on_device() != nullptr; });
  auto *on_device = models.size() == 1 ? models[0].on_device() : nullptr;
  if (on_device) device_atoms = std::make_unique<spinconv::DeviceAtoms>(*on_device, nodes);
  watch = {};
  cutoff = 0.0;
  for (const auto &model : models) {
    cutoff = std::max(cutoff, model.info().cutoff);
    watch.add(model.info());
  }
  results.assign(models.size(), {});
  nextra = (models.size() > 1 ? 3 : 0) + (watch.knows() ? 1 : 0);
  pvector = nextra > 0 ? extra : nullptr;
}

// Without coefficients Pair::init() would say that these are missing, and not what is: a model.
void PairSpinConv::let_init_style_speak()
{
  if (!allocated) allocate();
  for (int i = 1; i <= atom->ntypes; i++)
    for (int j = i; j <= atom->ntypes; j++) setflag[i][j] = 1;
}

void PairSpinConv::check_models() const
{
  if (models.empty()) error->all(FLERR, "pair_style spinconv has no model, because its `pair_style` line failed; give that again");
}

// LAMMPS makes room for its buffers by these, before init_style() is called within a hybrid style.
void PairSpinConv::set_comm_sizes()
{
  comm_forward = models.size() > 1 ? 3 * static_cast<int>(models.size()) : 1;
  for (const auto &model : models) {
    const auto &info = model.info();
    comm_forward = std::max(comm_forward, spinconv::GhostExchange::numbers_in_buffer(info.n_moments, info.dtype == "float32"));
  }
  comm_reverse = comm_forward;
}

void PairSpinConv::say_what_was_loaded()
{
  for (size_t m = 0; m < models.size(); ++m) {
    if (comm->me == 0) utils::logmesg(lmp, spinconv::model_card(models[m].info(), asked.files[m]));
    if (lmp->citeme) lmp->citeme->add(spinconv::bibtex(models[m].info()));
  }
}

// pair_coeff * * <element of type 1> ... ; NULL for types that are not part of the model

void PairSpinConv::coeff(int narg, char **arg)
{
  check_models();
  const int ntypes = atom->ntypes;
  if (narg < 2 || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0 || narg - 2 != ntypes)
    error->all(FLERR, "pair_coeff wants `* * <element of type 1> ...` with {} elements (or NULL), got `{}`", ntypes,
               utils::join_words(std::vector<std::string>(arg, arg + narg), " "));
  if (!allocated) allocate();
  forget_coeffs();
  for (int type = 1; type <= ntypes; ++type) {
    const std::string symbol = arg[type + 1];
    if (symbol == "NULL") continue;
    check_element(symbol);
    number_of_type[type] = spinconv::number_of(symbol);
  }
  if (std::count(number_of_type.begin(), number_of_type.end(), 0) == ntypes + 1)
    error->all(FLERR, "pair_coeff: at least one type must be an element, got NULL for all {}", ntypes);

  // Alone, this style answers for all pairs; within hybrid, pairs with NULL belong to others.
  const bool alone = force->pair == this;
  for (int i = 1; i <= ntypes; ++i)
    for (int j = i; j <= ntypes; ++j) setflag[i][j] = alone || (has_element(i) && has_element(j));
}

void PairSpinConv::check_element(const std::string &symbol) const
{
  const auto number = spinconv::number_of(symbol);
  for (size_t m = 0; m < models.size(); ++m) {
    const auto &known = models[m].info().elements;
    if (std::find(known.begin(), known.end(), number) == known.end())
      error->all(FLERR, "pair_coeff: {} does not know element `{}`; it knows {}", asked.files[m], symbol, spinconv::symbol_list(known));
  }
}

void PairSpinConv::init_style()
{
  check_models();
  check_units();
  if (!force->newton_pair) error->all(FLERR, "pair_style spinconv wants `newton on` for pairs, got off");
  if (!atom->tag_enable)
    error->all(FLERR, "pair_style spinconv finds periodic images by atom IDs, which `atom_modify id no` took away; use `atom_modify id yes`");
  if (comm->me == 0) {
    check_masses();
    check_time_step();
    warn_of_missing_virial();
  }
  prepare_deviations();
  has_warned = false;
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

// By LAMMPS' own constants, so that a temperature in one unit system is the same energy in another.
void PairSpinConv::check_units()
{
  if (strcmp(update->unit_style, "lj") == 0)
    error->all(FLERR, "pair_style spinconv has real energies and lengths, so `units` must be metal, real, si, cgs, electron, micro or nano, got lj");
  constexpr double boltzmann_ev = 8.617343e-5;    // eV/K, as LAMMPS has it
  energy_unit = force->boltz / boltzmann_ev;
  angstrom = force->angstrom;
}

void PairSpinConv::check_masses()
{
  if (atom->rmass || !atom->mass) return;
  const std::map<std::string, double> of_units = {{"si", 1.66053907e-27}, {"cgs", 1.66053907e-24}, {"micro", 1.66053907e-12}, {"nano", 1.66053907e-6}};
  const auto found = of_units.find(update->unit_style);
  const double gram_per_mol = found == of_units.end() ? 1.0 : found->second;
  for (int type = 1; type <= atom->ntypes; ++type) {
    if (!has_element(type) || !atom->mass_setflag[type]) continue;
    const double usual = spinconv::mass_of(number_of_type[type]), here = atom->mass[type] / gram_per_mol;
    if (std::abs(here - usual) > 0.1 * usual)
      error->warning(FLERR, "pair_style spinconv: the mass of type {} is {:.4g} g/mol, that of {} is {:.4g}", type, here,
                     spinconv::symbol_of(number_of_type[type]), usual);
  }
}

void PairSpinConv::check_time_step()
{
  if (update->whichflag != 1) return;    // not a run
  const double femtoseconds = update->dt / force->femtosecond;
  const bool has_hydrogen = std::count(number_of_type.begin(), number_of_type.end(), 1) > 0;
  const double longest = has_hydrogen ? 1.5 : 5.0;
  if (femtoseconds > longest)
    error->warning(FLERR, "pair_style spinconv: a time step of {:.3g} fs is long {}; {} fs is usual", femtoseconds,
                   has_hydrogen ? "for hydrogen that moves freely" : "for atoms that move freely", has_hydrogen ? "0.5" : "1 to 2");
}

double PairSpinConv::init_one(int, int)
{
  return cutoff * angstrom;
}

// ---- a step

void PairSpinConv::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  nodes.update(*atom, *neighbor, number_of_type);
  evaluate();
  add_energy();
  add_forces();
  has_direct_forces() ? deny_virial() : add_virial();
  if (models.size() > 1) find_deviations();
  keep_peratom_output();
}

// Before anything is added to LAMMPS' arrays, so that its last good state stays as it is.
void PairSpinConv::evaluate()
{
  if (has_kernels && comm->nprocs > 1) exchange.find_border(neighbor->ago == 0);
  std::string problem;
  if (neighbor->ago == 0) problem = spinconv::missing_neighbors(*lmp, *list, nodes, number_of_type);
  try {
    evaluate_models();
    look_for_extrapolation();
    if (problem.empty()) problem = words_on_bad_numbers();
  } catch (const spinconv::Error &reason) {
    if (problem.empty()) problem = reason.what();
  }
  const spinconv::News mine = problem.empty() ? news_of_extrapolation() : spinconv::News{INFINITY, problem};
  const auto news = spinconv::most_urgent(*lmp, mine);
  if (std::isinf(news.urgency)) error->all(FLERR, "pair_style spinconv at step {}: {}", update->ntimestep, news.text);
  warn_of_extrapolation(news);
  warn_of_short_distances();
}

// What fails does so after all exchanges between processes.
void PairSpinConv::evaluate_models()
{
  spinconv::Request request;
  request.centroid = wanted().centroid_virials;
  request.chunk = asked.chunk;
  request.name = [this](int64_t node) { return name_of(node); };
  if (comm->nprocs > 1) request.exchange = &exchange;
  device_atoms ? evaluate_on_device(request) : evaluate_edges(request);
}

void PairSpinConv::evaluate_on_device(const spinconv::Request &request)
{
  energies_are_there = outside_are_there = false;    // nor are they where this fails
  const double start = platform::walltime();
  device_atoms->evaluate(*atom, *list, angstrom, request, wanted(), sums);
  model_seconds += platform::walltime() - start;
}

// All models make their exchanges, also after one that fails.
void PairSpinConv::evaluate_edges(const spinconv::Request &request)
{
  graph.build(*atom, *list, cutoff, angstrom);
  std::string problem;
  const double start = platform::walltime();
  for (size_t m = 0; m < models.size(); ++m) {
    try {
      models[m].evaluate(graph.view(), request, results[m]);
    } catch (const spinconv::Error &reason) {
      if (problem.empty()) problem = reason.what();
    }
  }
  model_seconds += platform::walltime() - start;
  if (!problem.empty()) throw spinconv::Error(problem);
  if (models.size() > 1) spinconv::average(results, mean);
  spinconv::add_up(graph.view(), models.size() > 1 ? mean : results[0], wanted(), sums);
}

spinconv::Wanted PairSpinConv::wanted() const
{
  const bool has_virial = !has_direct_forces();
  return {eflag_either != 0, has_virial && vflag_global, has_virial && vflag_atom, has_virial && cvflag_atom};
}

spinconv::Graph PairSpinConv::edges()
{
  return device_atoms ? device_atoms->graph() : graph.view();
}

std::string PairSpinConv::name_of(int64_t node) const
{
  return std::to_string(atom->tag[nodes.atoms()[node]]);
}

// Of the atoms without a number, the one with the nearest neighbor: what goes wrong there spreads to all around.
std::string PairSpinConv::words_on_bad_numbers()
{
  const auto is_bad = sums.bad_nodes(nodes.n_owned(), wanted());
  if (is_bad.empty()) return "";
  const auto seen = edges();
  int64_t worst = -1;
  double nearest = INFINITY;
  for (int64_t node = 0; node < seen.n_atoms; ++node) {
    if (!is_bad[node]) continue;
    const double distance = spinconv::shortest_distance(seen, node);
    if (worst < 0 || distance < nearest) worst = node, nearest = distance;
  }
  return fmt::format("energy or force of atom {} is not a number; its nearest neighbor is at {:.4g} A", name_of(worst), nearest);
}

void PairSpinConv::add_energy()
{
  if (eflag_global) eng_vdwl += energy_unit * sums.energy;
  if (!eflag_atom) return;
  for (size_t node = 0; node < sums.energies.size(); ++node) eatom[nodes.atoms()[node]] += energy_unit * sums.energies[node];
}

void PairSpinConv::add_forces()
{
  const double unit = energy_unit / angstrom;
  for (size_t k = 0; k < sums.forces.size(); ++k) atom->f[nodes.atoms()[k / 3]][k % 3] += unit * sums.forces[k];
}

void PairSpinConv::add_virial()
{
  constexpr int place[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};    // xx yy zz xy xz yz yx zx zy among rows of a matrix
  const auto &atoms = nodes.atoms();
  for (int k = 0; vflag_global && k < 6; ++k) virial[k] += energy_unit * sums.virial[k];
  for (size_t node = 0; vflag_atom && node < atoms.size(); ++node)
    for (int k = 0; k < 6; ++k) vatom[atoms[node]][k] += energy_unit * sums.virials[6 * node + k];
  for (size_t node = 0; cvflag_atom && node < atoms.size(); ++node)
    for (int k = 0; k < 9; ++k) cvatom[atoms[node]][k] += energy_unit * sums.centroid_virials[9 * node + place[k]];
}

// ---- called by the exchange, through LAMMPS

int PairSpinConv::pack_forward_comm(int n, int *atoms, double *buffer, int, int *)
{
  return exchange.pack_forward(n, atoms, buffer);
}

void PairSpinConv::unpack_forward_comm(int n, int first, double *buffer)
{
  exchange.unpack_forward(n, first, buffer);
}

int PairSpinConv::pack_reverse_comm(int n, int first, double *buffer)
{
  return exchange.pack_reverse(n, first, buffer);
}

void PairSpinConv::unpack_reverse_comm(int n, int *atoms, double *buffer)
{
  exchange.unpack_reverse(n, atoms, buffer);
}
