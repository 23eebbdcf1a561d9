// An array of the host for what goes to a device and comes from there, in the memory that is fastest for it. It only grows.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/device.h"

#include <memory>

namespace spinconv::gpu {

template <class T>
class HostArray {
 public:
  /// Room for n numbers, whose values are then undefined.
  T* fit(Device& device, int64_t n) {
    if (n > room_) {
      memory_.reset();   // given back first
      room_ = 0;
      const int64_t wanted = n + n / 8;
      memory_ = device.allocate_host(wanted * static_cast<int64_t>(sizeof(T)));
      room_ = wanted;
    }
    return memory_ ? static_cast<T*>(memory_->data) : nullptr;
  }

 private:
  std::unique_ptr<HostMemory> memory_;
  int64_t room_ = 0;
};

}  // namespace spinconv::gpu
