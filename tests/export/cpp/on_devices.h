// The models that a test of kernels is given, on a device: PROGRAM DEVICE FILE..., where DEVICE is "opencl" or "cuda", with an index or without.
// SPDX-License-Identifier: MIT
#pragma once

#include "laws.h"

#include "container.h"

#include "spinconv/device.h"
#include "spinconv/model.h"

#include <cstdio>
#include <functional>
#include <string>

namespace laws {

/// Calls `compare` with each model, in either precision, and whether it is the first; what `main` is to give. Skipped where there is no such device.
inline int on_devices(int argc, char** argv,
                      const std::function<void(const spinconv::Container&, const std::string& dtype, const std::string& device, bool is_first)>& compare) {
  if (argc < 3) return 2;
  const std::string device = argv[1];
  if ((device.rfind("opencl", 0) == 0 ? spinconv::gpu::opencl_devices() : spinconv::gpu::cuda_devices()).empty()) {
    std::printf("skipped: there is no device for %s\n", device.c_str());
    return 0;
  }
  for (int n = 2; n < argc; ++n) {
    const std::string bytes = spinconv::read_file(argv[n]);
    const auto container = spinconv::open_container(bytes, argv[n]);
    for (const std::string dtype : {"float64", "float32"}) compare(container, dtype, device, n == 2);
  }
  return n_failed == 0 ? 0 : 1;
}

}  // namespace laws
