// Several models of the same thing: their mean, and how far apart they are.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <cstddef>
#include <vector>

namespace spinconv {

/// result = mean of the results, number by number; its buffers are kept.
void average(const std::vector<Result>& results, Result& mean);

/// sqrt(mean over models of |F_m - mean F|^2) of every atom. forces[n_atoms][n_models][3], any unit.
void force_deviations(const std::vector<double>& forces, size_t n_atoms, size_t n_models, std::vector<double>& deviations);

/// sqrt(mean over models of (E_m - mean E)^2) of every atom.
void energy_deviations(const std::vector<Result>& results, size_t n_atoms, std::vector<double>& deviations);

}  // namespace spinconv
