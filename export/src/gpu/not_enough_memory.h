// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/device.h"

namespace spinconv::gpu {

/// In words, for OutOfMemory.
inline std::string not_enough_memory(const Device& device, int64_t bytes) {
  const auto megabytes = [](int64_t bytes) { return std::to_string((bytes + 999999) / 1000000) + " MB"; };
  return "not enough memory, " + megabytes(bytes) + " were asked for on " + device.name() + " (" + device.description() + "), which has " +
         megabytes(device.free_memory()) + " free and gives at most " + megabytes(device.largest_memory()) + " in one piece";
}

}  // namespace spinconv::gpu
