// SPDX-License-Identifier: MIT
#include "Extrapolation.h"

#include "Warning.h"

namespace spinconv {

void Extrapolation::look(const Graph& graph, bool in_step) {
  watch_.look(graph);
  if (watch_.n_outside() == 0) return;
  has_found_one_ = true;
  has_found_one_in_step_ = in_step;
  const auto& worst = watch_.worst();
  const auto name = [&](int64_t atom) { return atom < 0 ? "" : atoms_.name(atom); };
  warning_ = "SpinConvForce: the model extrapolates for " + std::to_string(watch_.n_outside()) + " of " + std::to_string(atoms_.size()) +
             " particles" + (in_step ? " in a step, which is said once: " : ", which is said once (a minimizer's trial steps are such): ") +
             worst.in_words(name(worst.atom), name(worst.neighbor));
  has_warning_ = true;
}

void Extrapolation::say() {
  if (has_warning_.exchange(false)) warn(warning_);
}

}  // namespace spinconv
