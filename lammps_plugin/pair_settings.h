// What stands after `pair_style spinconv`, read and checked; it knows nothing of LAMMPS.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "spinconv/model.h"

#include <cstdint>
#include <string>
#include <vector>

namespace spinconv {

struct PairSettings {
  std::vector<std::string> files;    // more than one: a committee
  Options options;
  int64_t chunk = Request::default_chunk;
  int64_t out_freq = 100;            // steps between lines of the deviation file, 0 for none
  std::string out_file = "model_devi.out";
  double halt = 0.0;                 // force deviation that ends the run, 0 for none

  bool is_committee() const { return files.size() > 1; }
};

/// Throws Error.
PairSettings parse_settings(const std::vector<std::string> &words);

}    // namespace spinconv
