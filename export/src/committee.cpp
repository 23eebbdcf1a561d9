// SPDX-License-Identifier: MIT
#include "spinconv/committee.h"

#include <cmath>

namespace spinconv {
namespace {

using Numbers = std::vector<double>;

void average(const std::vector<Result>& results, Numbers Result::*numbers, Numbers& mean) {
  mean = results[0].*numbers;
  for (size_t m = 1; m < results.size(); ++m) {
    const double* term = (results[m].*numbers).data();
    for (size_t k = 0; k < mean.size(); ++k) mean[k] += term[k];
  }
  const double weight = 1.0 / static_cast<double>(results.size());
  for (auto& number : mean) number *= weight;
}

}  // namespace

void average(const std::vector<Result>& results, Result& mean) {
  mean.energy = 0.0;
  for (const auto& result : results) mean.energy += result.energy / static_cast<double>(results.size());
  average(results, &Result::atom_energies, mean.atom_energies);
  average(results, &Result::edge_gradients, mean.edge_gradients);
  average(results, &Result::atom_forces, mean.atom_forces);
  average(results, &Result::centroid, mean.centroid);
}

void force_deviations(const Numbers& forces, size_t n_atoms, size_t n_models, Numbers& deviations) {
  deviations.resize(n_atoms);
  for (size_t i = 0; i < n_atoms; ++i) {
    const double* of_atom = &forces[3 * n_models * i];
    double sum = 0.0;
    for (int a = 0; a < 3; ++a) {
      double mean = 0.0;
      for (size_t m = 0; m < n_models; ++m) mean += of_atom[3 * m + a] / static_cast<double>(n_models);
      for (size_t m = 0; m < n_models; ++m) sum += (of_atom[3 * m + a] - mean) * (of_atom[3 * m + a] - mean);
    }
    deviations[i] = std::sqrt(sum / static_cast<double>(n_models));
  }
}

void energy_deviations(const std::vector<Result>& results, size_t n_atoms, Numbers& deviations) {
  deviations.resize(n_atoms);
  const auto n_models = static_cast<double>(results.size());
  for (size_t i = 0; i < n_atoms; ++i) {
    double mean = 0.0, sum = 0.0;
    for (const auto& result : results) mean += result.atom_energies[i] / n_models;
    for (const auto& result : results) sum += (result.atom_energies[i] - mean) * (result.atom_energies[i] - mean);
    deviations[i] = std::sqrt(sum / n_models);
  }
}

}  // namespace spinconv
