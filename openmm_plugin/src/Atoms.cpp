// SPDX-License-Identifier: MIT
#include "Atoms.h"

#include <openmm/OpenMMException.h>

#include <numeric>
#include <set>

#include "spinconv/elements.h"

namespace spinconv {
namespace {

using OpenMM::OpenMMException;

void check_particles(const SpinConvForce& force, int n_particles) {
  if (force.getParticles().empty() && force.getNumbers().size() != static_cast<size_t>(n_particles)) {
    throw OpenMMException("SpinConvForce: `numbers` must hold one atomic number for each of the " + std::to_string(n_particles) +
                          " particles of the System, got " + std::to_string(force.getNumbers().size()) + "; name the others with `particles`");
  }
  const auto check = [&](const char* name, int particle) {
    if (particle >= 0 && particle < n_particles) return;
    throw OpenMMException(std::string("SpinConvForce: `") + name + "` must lie between 0 and " + std::to_string(n_particles - 1) +
                          ", got " + std::to_string(particle));
  };
  for (const int particle : force.getParticles()) check("particles", particle);
  for (const auto& bond : force.getBonds()) {
    check("bonds", bond.first);
    check("bonds", bond.second);
  }
}

}  // namespace

Atoms atoms_of(const SpinConvForce& force, int n_particles) {
  check_particles(force, n_particles);
  Atoms atoms;
  atoms.numbers.assign(force.getNumbers().begin(), force.getNumbers().end());
  atoms.particles = force.getParticles();
  if (atoms.particles.empty()) {
    atoms.particles.resize(atoms.size());
    std::iota(atoms.particles.begin(), atoms.particles.end(), 0);
  }
  atoms.periodic = force.usesPeriodicBoundaryConditions();
  return atoms;
}

void Atoms::check_elements(const Model& model) const {
  const auto& elements = model.info().elements;
  const std::set<int64_t> known(elements.begin(), elements.end());
  for (size_t i = 0; i < size(); ++i) {
    if (known.count(numbers[i]) > 0) continue;
    throw OpenMMException("SpinConvForce: `numbers` must be of elements that the model knows (" + symbol_list(elements) + "), got " +
                          symbol_of(numbers[i]) + " for particle " + name(static_cast<int64_t>(i)));
  }
}

void Atoms::refuse_result(const char* what, int64_t atom) const {
  throw OpenMMException(std::string("SpinConvForce: the ") + what + " particle " + name(atom) + " is not a number; look for particles on top of each other there");
}

void Atoms::refuse_position(int64_t atom) const {
  throw OpenMMException("SpinConvForce: the position of particle " + name(atom) +
                        " is not a number; the simulation went astray before this step (time step too long?)");
}

}  // namespace spinconv
