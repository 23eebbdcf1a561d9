// An array of a device, which only grows, with some to spare: a step like the last allocates nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/device.h"

#include <memory>
#include <vector>

namespace spinconv::gpu {

template <class T>
class DeviceArray {
 public:
  /// Makes room for n numbers, whose values are then undefined. Throws OutOfMemory.
  void fit(Device& device, int64_t n) {
    if (n <= room_) return;
    const int64_t wanted = n + n / (room_ > 0 ? 8 : 32);   // what has grown once will grow again
    memory_.reset();   // given back first
    room_ = 0;
    memory_ = device.allocate(wanted * static_cast<int64_t>(sizeof(T)));
    room_ = wanted;
  }
  void write(Device& device, const T* from, int64_t n, int64_t at = 0) {
    if (at == 0) fit(device, n);
    if (n > 0) device.write(*memory_, at * sizeof(T), from, n * sizeof(T));
  }
  void write(Device& device, const std::vector<T>& from) { write(device, from.data(), static_cast<int64_t>(from.size())); }
  void read(Device& device, T* to, int64_t n, int64_t at = 0) const {
    if (n > 0) device.read(*memory_, at * sizeof(T), to, n * sizeof(T));
  }
  void clear(Device& device, int64_t n) {
    fit(device, n);
    if (n > 0) device.clear(*memory_, 0, n * sizeof(T));
  }
  const Memory* get() const { return memory_.get(); }

 private:
  std::unique_ptr<Memory> memory_;
  int64_t room_ = 0;
};

}  // namespace spinconv::gpu
