// The weights of a model on a device, in the order that kernels/edges.h and kernels/readout.h have them.
// SPDX-License-Identifier: MIT
#pragma once

#include "../native/distance_tables.h"
#include "../native/parameters.h"
#include "device_array.h"

#include <vector>

namespace spinconv::gpu {

template <class T>
class DeviceWeights {
 public:
  DeviceWeights(Device& device, const native::Parameters<T>& parameters, int64_t n_elements);

  /// Brings the tables of a pair of elements to the device, if they are not there.
  void require(Device& device, native::DistanceTables<T>& tables, int32_t pair);

  const Memory* head() const { return head_.get(); }
  const Memory* block(int64_t k) const { return blocks_[k].get(); }
  const Memory* first_knots() const { return knots_[0].get(); }
  const Memory* knots(int64_t k) const { return knots_[1 + k].get(); }
  const Memory* of_pairs() const { return of_pairs_.get(); }   // [pair][inner, 1 / cutoff]

 private:
  int64_t n_pairs_, channels_;
  DeviceArray<T> head_, of_pairs_;
  std::vector<DeviceArray<T>> blocks_, knots_;   // of the initial messages, then of the blocks
  std::vector<char> there_;
};

extern template class DeviceWeights<float>;
extern template class DeviceWeights<double>;

}  // namespace spinconv::gpu
