// The particles that a force acts on: the atoms of its models, in their order.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "SpinConvForce.h"
#include "spinconv/model.h"

namespace spinconv {

struct Atoms {
  std::vector<int64_t> numbers;   // atomic numbers
  std::vector<int> particles;     // indices in the System
  bool periodic = false;

  size_t size() const { return numbers.size(); }
  /// What errors call an atom.
  std::string name(int64_t atom) const { return std::to_string(particles[static_cast<size_t>(atom)]); }
  /// Throws OpenMMException for an element that a model does not know.
  void check_elements(const Model& model) const;
  /// That the force on an atom, or its energy, is no number, as an OpenMMException.
  [[noreturn]] void refuse_result(const char* what, int64_t atom) const;
  [[noreturn]] void refuse_position(int64_t atom) const;
};

/// Of a force in a System of so many particles. Throws OpenMMException where they do not fit.
Atoms atoms_of(const SpinConvForce& force, int n_particles);

}  // namespace spinconv
