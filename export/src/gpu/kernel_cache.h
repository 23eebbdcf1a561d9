// Compiled kernels, kept in files for the next time: in $XDG_CACHE_HOME/spinconv/kernels, or else in ~/.cache. A cache that cannot be read or written
// is none, and no error.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace spinconv::gpu {

/// The name of what is compiled from all that decides it: the text, the device, the versions of driver and compiler, the options.
std::string kernel_name(const std::vector<std::string>& decisive);

/// "" where it is not kept, or damaged.
std::string kept_kernel(const std::string& name);
/// Replaces what is kept by this name. Those that were longest not used go, where there are more than a hundred.
void keep_kernel(const std::string& name, const std::string& binary);

}  // namespace spinconv::gpu
