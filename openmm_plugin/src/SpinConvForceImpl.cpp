// SPDX-License-Identifier: MIT
#include "SpinConvForceImpl.h"

#include <openmm/OpenMMException.h>
#include <openmm/System.h>
#include <openmm/internal/ContextImpl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "Warning.h"
#include "spinconv/committee.h"
#include "spinconv/distances.h"
#include "spinconv/elements.h"

namespace spinconv {
namespace {

using OpenMM::OpenMMException;
using OpenMM::Vec3;

// The door between OpenMM's units and the model's. The energy is e * N_A, exact in the SI of 2019 (CODATA 2018), as OpenMM has it.
constexpr double kj_per_mol_per_ev = 96.4853321233100184;
constexpr double angstrom_per_nm = 10.0;

/// Runs `step`; what the reader or the standard library throws leaves as the exception that OpenMM and its Python know.
template <class Step>
auto in_openmm_words(Step&& step) -> decltype(step()) {
  try {
    return step();
  } catch (const OpenMMException&) {
    throw;
  } catch (const std::exception& error) {
    throw OpenMMException(std::string("SpinConvForce: ") + error.what());
  }
}

Point in_angstrom(const Vec3& nm) { return {nm[0] * angstrom_per_nm, nm[1] * angstrom_per_nm, nm[2] * angstrom_per_nm}; }

bool is_finite(const Point& point) { return std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]); }

}  // namespace

SpinConvForceImpl::SpinConvForceImpl(const SpinConvForce& owner) : OpenMM::CustomCPPForceImpl(owner), owner_(owner) {}

SpinConvForceImpl::~SpinConvForceImpl() {
  try {
    say_warning();
  } catch (const OpenMMException&) {   // too late to end on it
  }
}

// ---- once per Context

void SpinConvForceImpl::initialize(OpenMM::ContextImpl& context) {
  OpenMM::CustomCPPForceImpl::initialize(context);
  numbers_.assign(owner_.getNumbers().begin(), owner_.getNumbers().end());
  particles_ = owner_.getParticles();
  periodic_ = owner_.usesPeriodicBoundaryConditions();
  check_particles(context.getSystem().getNumParticles());
  if (particles_.empty()) {
    particles_.resize(numbers_.size());
    std::iota(particles_.begin(), particles_.end(), 0);
  }
  positions_.resize(numbers_.size());
  forces_.resize(numbers_.size());

  in_openmm_words([&] {
    Options options;
    options.device = owner_.getDevice();
    options.dtype = owner_.getPrecision();
    options.evaluator = owner_.getEvaluator();
    options.threads = owner_.getThreads();
    options.allow_nonconservative = owner_.getNonconservative();
    double cutoff = 0.0;
    const auto n_models = owner_.getModels().size();
    for (size_t m = 0; m < n_models; ++m) {
      const std::string name = n_models == 1 ? "the model" : "model " + std::to_string(m + 1) + " of the committee";
      models_.push_back(Model::from_bytes(owner_.getModels()[m], options, name));
      check_elements(models_[m]);
      watch_.add(models_[m].info());
      cutoff = std::max(cutoff, models_[m].info().cutoff);   // a model takes no notice of edges beyond its own
    }
    results_.resize(n_models);
    neighbors_ = std::make_unique<NeighborList>(cutoff, check_skin() * angstrom_per_nm);
  });
}

std::string SpinConvForceImpl::evaluator() const {
  std::string words;
  for (const auto& model : models_) words += (words.empty() ? "" : "; ") + model.info().evaluator + ", " + model.info().dtype + " on " + model.info().device;
  return words;
}

double SpinConvForceImpl::check_skin() const {
  const double skin = owner_.getSkin();
  if (skin >= 0.0 && std::isfinite(skin)) return skin;
  throw OpenMMException("SpinConvForce: `skin` must be 0 or a length (nm), got " + std::to_string(skin));
}

void SpinConvForceImpl::check_particles(int n_particles) const {
  if (particles_.empty() && numbers_.size() != static_cast<size_t>(n_particles)) {
    throw OpenMMException("SpinConvForce: `numbers` must hold one atomic number for each of the " + std::to_string(n_particles) +
                          " particles of the System, got " + std::to_string(numbers_.size()) + "; name the others with `particles`");
  }
  const auto check = [&](const char* name, int particle) {
    if (particle >= 0 && particle < n_particles) return;
    throw OpenMMException(std::string("SpinConvForce: `") + name + "` must lie between 0 and " + std::to_string(n_particles - 1) +
                          ", got " + std::to_string(particle));
  };
  for (const int particle : particles_) check("particles", particle);
  for (const auto& bond : owner_.getBonds()) {
    check("bonds", bond.first);
    check("bonds", bond.second);
  }
}

void SpinConvForceImpl::check_elements(const Model& model) const {
  const auto& elements = model.info().elements;
  const std::set<int64_t> known(elements.begin(), elements.end());
  for (size_t i = 0; i < numbers_.size(); ++i) {
    if (known.count(numbers_[i]) > 0) continue;
    throw OpenMMException("SpinConvForce: `numbers` must be of elements that the model knows (" + symbol_list(elements) + "), got " +
                          symbol_of(numbers_[i]) + " for particle " + std::to_string(particle(i)));
  }
}

// ---- every step

double SpinConvForceImpl::calcForcesAndEnergy(OpenMM::ContextImpl& context, bool include_forces, bool include_energy, int groups) {
  // Where the platform computes in this call (Reference, CPU), an energy alone costs no gradient: a third of the time. Barostats ask
  // for one, unless the integrator is a leapfrog, whose kinetic energy needs the forces.
  // GPU platforms run computeForce on a thread of their own, begun before this call. It may see either value when an energy alone is
  // wanted, and both are right; when forces are wanted the flag never leaves true.
  with_forces_ = include_forces;
  struct Restore {
    std::atomic<bool>& flag;
    ~Restore() { flag = true; }
  } restore{with_forces_};
  say_warning();   // of the step before, on a GPU platform
  const double energy = OpenMM::CustomCPPForceImpl::calcForcesAndEnergy(context, include_forces, include_energy, groups);
  say_warning();
  return energy;
}

double SpinConvForceImpl::computeForce(OpenMM::ContextImpl& context, const std::vector<Vec3>& positions, std::vector<Vec3>& forces) {
  return in_openmm_words([&] {
    gather(positions);
    find_neighbors(context);
    look_for_extrapolation();
    evaluate(with_forces_);   // read once: see calcForcesAndEnergy
    check_result();
    scatter(forces);
    return result().energy * kj_per_mol_per_ev;
  });
}

CommitteeDeviation SpinConvForceImpl::deviation(OpenMM::ContextImpl& context) {
  return in_openmm_words([&] {
    std::vector<Vec3> positions;
    context.getPositions(positions);
    gather(positions);
    find_neighbors(context);
    evaluate(true);
    check_result();

    const size_t n_models = models_.size();
    std::vector<double> of_models(3 * n_models * numbers_.size());   // [n_atoms][n_models][3]
    CommitteeDeviation deviation;
    for (size_t m = 0; m < n_models; ++m) {
      const double apart = results_[m].energy - result().energy;
      deviation.energy += apart * apart / static_cast<double>(n_models);
      sum_forces(results_[m], forces_);
      for (size_t i = 0; i < forces_.size(); ++i) std::copy(forces_[i].begin(), forces_[i].end(), &of_models[3 * (n_models * i + m)]);
    }
    deviation.energy = std::sqrt(deviation.energy) * kj_per_mol_per_ev;
    force_deviations(of_models, numbers_.size(), n_models, deviation.forces);
    for (auto& of_particle : deviation.forces) of_particle *= kj_per_mol_per_ev * angstrom_per_nm;
    return deviation;
  });
}

void SpinConvForceImpl::gather(const std::vector<Vec3>& positions) {
  for (size_t i = 0; i < positions_.size(); ++i) {
    positions_[i] = in_angstrom(positions[particle(i)]);
    if (!is_finite(positions_[i])) {
      throw OpenMMException("SpinConvForce: the position of particle " + std::to_string(particle(i)) +
                            " is not a number; the simulation went astray before this step (time step too long?)");
    }
  }
}

void SpinConvForceImpl::find_neighbors(OpenMM::ContextImpl& context) {
  Vec3 a, b, c;
  context.getPeriodicBoxVectors(a, b, c);
  const Box box = {in_angstrom(a), in_angstrom(b), in_angstrom(c)};
  neighbors_->compute(positions_, periodic_ ? &box : nullptr);
  check_distances(graph(), [&](int64_t atom) { return std::to_string(particle(static_cast<size_t>(atom))); });
}

Graph SpinConvForceImpl::graph() const {
  Graph graph;
  graph.n_atoms = static_cast<int64_t>(numbers_.size());
  graph.numbers = numbers_.data();
  graph.n_edges = neighbors_->size();
  graph.source = neighbors_->source();
  graph.target = neighbors_->target();
  graph.vectors = neighbors_->vectors();
  return graph;
}

// Until there was something to warn of: nobody asks for the atoms afterwards. Steps of an integrator are counted for themselves: OpenMM's
// minimizer begins with a trial step of a nanometer, and what it meets there must not silence the run that follows.
void SpinConvForceImpl::look_for_extrapolation() {
  const bool in_step = is_in_step_.exchange(false);
  if ((in_step ? has_found_one_in_step_ : has_found_one_) || !watch_.knows()) return;
  watch_.look(graph());
  if (watch_.n_outside() == 0) return;
  has_found_one_ = true;
  has_found_one_in_step_ = in_step;
  const auto& worst = watch_.worst();
  const auto name = [&](int64_t atom) { return atom < 0 ? "" : std::to_string(particle(static_cast<size_t>(atom))); };
  warning_ = "SpinConvForce: the model extrapolates for " + std::to_string(watch_.n_outside()) + " of " + std::to_string(numbers_.size()) +
       " particles" + (in_step ? " in a step, which is said once: " : ", which is said once (a minimizer's trial steps are such): ") +
       worst.in_words(name(worst.atom), name(worst.neighbor));
  has_warning_ = true;
}

// In the thread that asked for forces. Python may hold its lock there for as long as the threads of a GPU platform work, which must not wait for it.
void SpinConvForceImpl::say_warning() {
  if (has_warning_.exchange(false)) warn(warning_);
}

void SpinConvForceImpl::evaluate(bool with_forces) {
  Request request;
  request.gradients = with_forces;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t m = 0; m < models_.size(); ++m) models_[m].evaluate(graph(), request, results_[m]);
  model_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (models_.size() > 1) average(results_, mean_);
  if (with_forces) {
    sum_forces(result(), forces_);
  } else {
    std::fill(forces_.begin(), forces_.end(), Point{});
  }
}

void SpinConvForceImpl::sum_forces(const Result& result, std::vector<Point>& forces) const {
  const Graph edges = graph();
  std::fill(forces.begin(), forces.end(), Point{});
  const double* g = result.edge_gradients.data();
  for (int64_t e = 0; e < edges.n_edges; ++e, g += 3) {
    auto& on_target = forces[edges.target[e]];
    auto& on_source = forces[edges.source[e]];
    for (int k = 0; k < 3; ++k) {
      on_target[k] += g[k];
      on_source[k] -= g[k];
    }
  }
}

void SpinConvForceImpl::check_result() const {
  for (size_t i = 0; i < numbers_.size(); ++i) {
    const bool energy_is_finite = std::isfinite(result().atom_energies[i]);
    if (energy_is_finite && is_finite(forces_[i])) continue;
    throw OpenMMException(std::string("SpinConvForce: the ") + (energy_is_finite ? "force on" : "energy of") + " particle " +
                          std::to_string(particle(i)) + " is not a number; look for particles on top of each other there");
  }
}

void SpinConvForceImpl::scatter(std::vector<Vec3>& forces) {
  // OpenMM gives an array of this force's own, with old numbers in it, and adds it to the other forces afterwards.
  constexpr double unit = kj_per_mol_per_ev * angstrom_per_nm;
  std::fill(forces.begin(), forces.end(), Vec3());
  for (size_t i = 0; i < forces_.size(); ++i) forces[particle(i)] = Vec3(forces_[i][0], forces_[i][1], forces_[i][2]) * unit;
}

}  // namespace spinconv
