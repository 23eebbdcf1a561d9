// What the model makes of a pair of elements and the distance that it is shown, as tables for the splines: the initial messages, and of every
// block the network of the distance (potential/harmonic/equations.py, edges and mix). Computed in double with two derivatives, a pair when
// it is met.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "buffer.h"
#include "jet.h"
#include "kernels.h"
#include "parameters.h"

#include <memory>
#include <vector>

namespace spinconv::native {

template <class T>
class DistanceTables {
 public:
  DistanceTables(const Container& container, const Shape& shape);

  /// Makes the tables of a pair of elements, if they are not there.
  void require(int32_t pair);
  const Table<T>& initial() const { return tables_[0]; }
  const Table<T>& of_block(int64_t k) const { return tables_[1 + k]; }

 private:
  struct Networks;

  std::shared_ptr<const Networks> networks_;
  int64_t channels_, n_intervals_;
  double spacing_;
  std::vector<Buffer<T>> knots_;
  std::vector<Table<T>> tables_;   // of the initial messages, then of the blocks
  std::vector<char> made_;
};

extern template class DistanceTables<float>;
extern template class DistanceTables<double>;

}  // namespace spinconv::native
