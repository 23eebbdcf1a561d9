// Ghosts of the first atoms, in one process.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace laws {

class Images : public spinconv::Exchange {
 public:
  Images(int64_t n_atoms, int64_t n_ghosts, bool knows_border = false) : n_atoms_(n_atoms), n_ghosts_(n_ghosts), knows_border_(knows_border) {
    for (int32_t k = 0; k < n_ghosts; ++k) border_.push_back(k);
  }
  void to_ghosts(float* rows, int64_t width) override { copy(rows, width); }
  void to_ghosts(double* rows, int64_t width) override { copy(rows, width); }
  void from_ghosts(float* rows, int64_t width) override { add(rows, width); }
  void from_ghosts(double* rows, int64_t width) override { add(rows, width); }
  const std::vector<int32_t>* border() const override { return knows_border_ ? &border_ : nullptr; }

 private:
  template <class T>
  void copy(T* rows, int64_t width) { std::copy_n(rows, n_ghosts_ * width, rows + n_atoms_ * width); }
  template <class T>
  void add(T* rows, int64_t width) {
    for (int64_t k = 0; k < n_ghosts_ * width; ++k) rows[k] += rows[n_atoms_ * width + k];
  }

  int64_t n_atoms_, n_ghosts_;
  bool knows_border_;
  std::vector<int32_t> border_;
};

}  // namespace laws
