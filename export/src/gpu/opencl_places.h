// The devices that OpenCL finds, of all platforms, and what it says of them.
// SPDX-License-Identifier: MIT
#pragma once

#include "opencl.h"

#include <string>
#include <utility>
#include <vector>

namespace spinconv::gpu::opencl {

struct Place {
  Platform platform = nullptr;
  DeviceId device = nullptr;
  Flags type = 0;

  /// A text or a number of the device; "" or 0 where it has none.
  std::string text(uint32_t what) const;
  template <class Number>
  Number number(uint32_t what) const {
    Number number{};
    return functions().get_device(device, what, sizeof number, &number, nullptr) == success ? number : Number{};
  }

  /// "NVIDIA H100 80GB HBM3 (OpenCL 3.0, NVIDIA CUDA)"
  std::string description() const;
  /// All that makes compiled kernels another device's.
  std::vector<std::string> versions() const;
};

/// GPUs first, then accelerators, then processors; empty where there is no OpenCL.
std::vector<Place> find_places();

/// The place of an index, or -1 for the share of a process, and its index. Error, with what is missing, where there is none.
std::pair<Place, int> find_place(int index, int process);

}  // namespace spinconv::gpu::opencl
