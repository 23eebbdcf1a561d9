// The GPUs that NVIDIA's driver finds, and what it says of them.
// SPDX-License-Identifier: MIT
#pragma once

#include "cuda.h"

#include <string>
#include <utility>

namespace spinconv::gpu::cuda {

struct Place {
  DeviceId device = 0;

  int attribute(int which) const;   // 0 where there is none
  int64_t memory() const;           // bytes
  int architecture() const;         // 90 of sm_90
  /// "NVIDIA H100 80GB HBM3 (CUDA 12.4)", whose version is the driver's.
  std::string description() const;
};

/// The place of an index, or -1 for the share of a process, and its index. Error, with what is missing, where there is none.
std::pair<Place, int> find_place(int index, int process);

}  // namespace spinconv::gpu::cuda
