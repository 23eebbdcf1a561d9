// The instruction sets that this library has code for and this processor has.
// SPDX-License-Identifier: MIT
#pragma once

#include "training_kernels.h"

#include <optional>
#include <string>

namespace spinconv::native {

/// See level_here.
std::optional<TrainingLevel> training_level_here(const std::string& wanted = "");

}  // namespace spinconv::native
