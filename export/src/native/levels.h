// The instruction sets that this library has code for and this processor has.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"

#include <optional>
#include <string>

namespace spinconv::native {

/// The best one, or `wanted` ("x86-64-v3") if it is here; none otherwise.
std::optional<Level> level_here(const std::string& wanted = "");

}  // namespace spinconv::native
