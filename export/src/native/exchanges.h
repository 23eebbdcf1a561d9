// The exchanges between processes of an evaluation: rows as the stages of torch have them (export/src/evaluation.cpp), without what is padded
// here; the same calls in the same order by every process, also by one that fails.
// SPDX-License-Identifier: MIT
#pragma once

#include "arrays.h"
#include "buffer.h"
#include "kernels.h"

#include <cstdint>
#include <vector>

namespace spinconv::native {

template <class T>
class Exchanges {
 public:
  /// Runs a task, whose exchanges are the calls below; those that are left when it throws are made with zeros, because the others wait for them. Without an
  /// exchange, all calls do nothing.
  template <class Run>
  void during(const Shape& shape, const Task& task, Run&& run) {
    begin(shape, task);
    try {
      run();
    } catch (...) {
      finish();
      throw;
    }
    finish();
  }
  /// Adds the moments of ghosts to those of their atoms.
  void moments(T* moments);
  /// Adds the sums of ghosts, and their walls, to those of their atoms.
  void sums(T* sums, std::vector<double>& walls);
  /// Gives ghosts the derivatives of their atoms.
  void of_sums(T* of_sums);
  void of_moments(T* of_moments);

 private:
  void begin(const Shape& shape, const Task& task);   // how many there will be
  void finish();                                      // makes those that are left
  int64_t moments_width() const { return shape_.n_low * shape_.used; }
  int64_t sums_width() const { return shape_.used + 1; }
  void copy_rows(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n_rows) const;

  Shape shape_;
  Task task_;
  Exchange* exchange_ = nullptr;
  int64_t n_from_ghosts_ = 0, n_to_ghosts_ = 0;   // that are left
  Buffer<T> rows_;
};

extern template class Exchanges<float>;
extern template class Exchanges<double>;

}  // namespace spinconv::native
