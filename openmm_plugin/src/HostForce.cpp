// SPDX-License-Identifier: MIT
#include "HostForce.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "spinconv/committee.h"
#include "spinconv/distances.h"
#include "units.h"

namespace spinconv {

using OpenMM::Vec3;

HostForce::HostForce(const Atoms& atoms, Extrapolation& extrapolation, std::vector<Model> models, double skin)
    : atoms_(atoms), extrapolation_(extrapolation), models_(std::move(models)), positions_(atoms.size()), forces_(atoms.size()), results_(models_.size()) {
  double cutoff = 0.0;
  for (const auto& model : models_) {
    extrapolation_.add(model.info());
    cutoff = std::max(cutoff, model.info().cutoff);   // a model takes no notice of edges beyond its own
  }
  neighbors_ = std::make_unique<NeighborList>(cutoff, skin * angstrom_per_nm);
}

std::string HostForce::evaluator() const {
  std::string words;
  for (const auto& model : models_) words += (words.empty() ? "" : "; ") + model.info().evaluator + ", " + model.info().dtype + " on " + model.info().device;
  return words;
}

double HostForce::compute(OpenMM::ContextImpl& context, const std::vector<Vec3>& positions, bool with_forces, std::vector<Vec3>& forces) {
  gather(positions);
  find_neighbors(context);
  const bool in_step = extrapolation_.take_step();
  if (extrapolation_.is_asked(in_step)) extrapolation_.look(graph(), in_step);
  evaluate(with_forces);
  check_result();
  scatter(forces);
  return result().energy * kj_per_mol_per_ev;
}

CommitteeDeviation HostForce::deviation(OpenMM::ContextImpl& context) {
  std::vector<Vec3> positions;
  context.getPositions(positions);
  gather(positions);
  find_neighbors(context);
  evaluate(true);
  check_result();

  const size_t n_models = models_.size();
  std::vector<double> of_models(3 * n_models * atoms_.size());   // [n_atoms][n_models][3]
  CommitteeDeviation deviation;
  for (size_t m = 0; m < n_models; ++m) {
    const double apart = results_[m].energy - result().energy;
    deviation.energy += apart * apart / static_cast<double>(n_models);
    sum_forces(results_[m], forces_);
    for (size_t i = 0; i < forces_.size(); ++i) std::copy(forces_[i].begin(), forces_[i].end(), &of_models[3 * (n_models * i + m)]);
  }
  deviation.energy = std::sqrt(deviation.energy) * kj_per_mol_per_ev;
  force_deviations(of_models, atoms_.size(), n_models, deviation.forces);
  for (auto& of_particle : deviation.forces) of_particle *= kj_per_mol_per_ev * angstrom_per_nm;
  return deviation;
}

void HostForce::gather(const std::vector<Vec3>& positions) {
  for (size_t i = 0; i < positions_.size(); ++i) {
    positions_[i] = in_angstrom(positions[atoms_.particles[i]]);
    if (!is_finite(positions_[i])) atoms_.refuse_position(static_cast<int64_t>(i));
  }
}

void HostForce::find_neighbors(OpenMM::ContextImpl& context) {
  Vec3 a, b, c;
  context.getPeriodicBoxVectors(a, b, c);
  const Box box = {in_angstrom(a), in_angstrom(b), in_angstrom(c)};
  neighbors_->compute(positions_, atoms_.periodic ? &box : nullptr);
  check_distances(graph(), [&](int64_t atom) { return atoms_.name(atom); });
}

Graph HostForce::graph() const {
  Graph graph;
  graph.n_atoms = static_cast<int64_t>(atoms_.size());
  graph.numbers = atoms_.numbers.data();
  graph.n_edges = neighbors_->size();
  graph.source = neighbors_->source();
  graph.target = neighbors_->target();
  graph.vectors = neighbors_->vectors();
  return graph;
}

void HostForce::evaluate(bool with_forces) {
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

void HostForce::sum_forces(const Result& result, std::vector<Point>& forces) const {
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

void HostForce::check_result() const {
  for (size_t i = 0; i < atoms_.size(); ++i) {
    const bool energy_is_finite = std::isfinite(result().atom_energies[i]);
    if (!energy_is_finite || !is_finite(forces_[i])) atoms_.refuse_result(energy_is_finite ? "force on" : "energy of", static_cast<int64_t>(i));
  }
}

void HostForce::scatter(std::vector<Vec3>& forces) {
  // OpenMM gives an array of this force's own, with old numbers in it, and adds it to the other forces afterwards.
  constexpr double unit = kj_per_mol_per_ev * angstrom_per_nm;
  std::fill(forces.begin(), forces.end(), Vec3());
  for (size_t i = 0; i < forces_.size(); ++i) forces[atoms_.particles[i]] = Vec3(forces_[i][0], forces_[i][1], forces_[i][2]) * unit;
}

}  // namespace spinconv
