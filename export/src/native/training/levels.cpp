// SPDX-License-Identifier: MIT
#include "levels.h"

#include "../levels.h"

namespace spinconv::native {

std::optional<TrainingLevel> training_level_here(const std::string& wanted) {
  const auto level = level_here(wanted);
  if (!level) return std::nullopt;
#ifdef SPINCONV_X86_LEVELS
  return std::string(level->name) == "x86-64-v4" ? training_level_x86_64_v4() : training_level_x86_64_v3();
#elif defined(SPINCONV_NEON_LEVEL)
  return training_level_armv8_a();
#else
  return std::nullopt;
#endif
}

}  // namespace spinconv::native
