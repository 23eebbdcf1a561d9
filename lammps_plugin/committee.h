// How far apart several models are, as DeePMD-kit writes it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "spinconv/committee.h"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace spinconv {

/// Largest, smallest, mean: a row of the deviation file. Columns as DeePMD-kit's `model_devi.out` has them.
struct Deviation {
  double largest = 0.0, smallest = 0.0, mean = 0.0;
};

/// Of the nine components of the virials, each divided by `n_atoms` first: standard deviation over models. The mean is quadratic.
Deviation virial_deviation(const std::vector<std::array<double, 9>> &virials, double n_atoms);

/// The nine components of -sum of r (x) dE/dr, eV.
std::array<double, 9> virial_of(const Graph &graph, const Result &result);

/// A file of deviations.
class DeviationFile {
 public:
  DeviationFile() = default;
  ~DeviationFile() { close(); }
  DeviationFile(const DeviationFile &) = delete;
  DeviationFile &operator=(const DeviationFile &) = delete;

  /// Says in the first line of a new file what the columns are, and in which units. All throw Error, also of a disk that is full.
  void open(const std::string &path, bool goes_on, const std::string &virial_unit, const std::string &force_unit);
  void write(long long step, const Deviation &virial, const Deviation &force);
  void close();

 private:
  void claim();
  void flush();

  FILE *file = nullptr;
  std::string name;
};

}    // namespace spinconv
