// Particles unlike those of training, in one Context: said once, and once more in the steps of an integrator. OpenMM's minimizer begins with a trial step of a
// nanometer, and what it meets there must not silence the run that follows.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <string>

#include "Atoms.h"
#include "spinconv/extrapolation.h"

namespace spinconv {

class Extrapolation {
 public:
  explicit Extrapolation(const Atoms& atoms) : atoms_(atoms) {}

  /// See Watch.
  void add(const ModelInfo& info) { watch_.add(info); }

  /// An integrator begins a step: the next evaluation is of it.
  void begin_step() { is_in_step_ = true; }
  /// Of an evaluation: whether it is that of a step, which is so once.
  bool take_step() { return is_in_step_.exchange(false); }

  /// Until there was something to warn of: nobody asks for the atoms afterwards.
  bool is_asked(bool in_step) const { return watch_.knows() && !(in_step ? has_found_one_in_step_ : has_found_one_); }
  void look(const Graph& graph, bool in_step);
  /// In the thread that asked for forces. Python may hold its lock there for as long as the threads of a GPU platform work, which must not wait for it.
  void say();

 private:
  const Atoms& atoms_;
  Watch watch_;
  std::atomic<bool> is_in_step_{false};
  bool has_found_one_ = false, has_found_one_in_step_ = false;   // such an atom, whoever asked; in a step
  std::string warning_;   // to be said, if there is one
  std::atomic<bool> has_warning_{false};
};

}  // namespace spinconv
