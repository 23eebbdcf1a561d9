// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace spinconv::gpu {

/// What the compiler of opencl:<index> says against `source`, its warnings too; "" where nothing. For tests: users' compilers warn of other things.
std::string opencl_complaints(int index, const std::string& source);

}  // namespace spinconv::gpu
