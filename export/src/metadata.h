// What a model file says of itself, checked. The Python twin, which has the schema, is export/metadata.py.
// SPDX-License-Identifier: MIT
#pragma once

#include "json.h"

#include "spinconv/model.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace spinconv {

/// A small free cluster and what the model computes for it in float64: a reader that gets other numbers is wrong.
struct Probe {
  std::vector<int64_t> numbers;    // atomic numbers, [n_atoms]
  std::vector<double> positions;   // Å, [n_atoms][3]
  std::vector<double> energies;    // eV, [n_atoms]
  std::vector<double> gradients;   // of their sum, eV/Å, [n_atoms][3]
};

struct Metadata {
  ModelInfo info;   // without `metadata`, `device` and `n_moments`, which are not said there
  std::vector<double> reference_energies;   // eV, in the order of `info.elements`
  double scale = 0.0;               // eV
  double average_neighbors = 0.0;
  std::vector<std::pair<std::string, double>> settings;   // further numbers that the equations ask for by name
  Probe probe;
};

/// Error, in a sentence that begins with the name of the first value that is wrong: "`model.cutoff` must be positive, got -1".
Metadata read_metadata(const Json& said);

}  // namespace spinconv
