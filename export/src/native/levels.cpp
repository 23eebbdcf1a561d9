// SPDX-License-Identifier: MIT
#include "levels.h"

namespace spinconv::native {
namespace {

/// An instruction set. Nothing of its unit is called, not even what says its kernels, before the processor is known to have all of it.
struct Candidate {
  const char* name;
  bool is_here;
  Level (*level)();
};

}  // namespace

std::optional<Level> level_here(const std::string& wanted) {
#ifdef SPINCONV_X86_LEVELS
  const Candidate candidates[] = {{"x86-64-v4", __builtin_cpu_supports("x86-64-v4") != 0, level_x86_64_v4},
                                  {"x86-64-v3", __builtin_cpu_supports("x86-64-v3") != 0, level_x86_64_v3}};
#elif defined(SPINCONV_NEON_LEVEL)
  const Candidate candidates[] = {{"armv8-a", true, level_armv8_a}};   // every one of these processors has it
#else
  const Candidate candidates[] = {{"none", false, nullptr}};
#endif
  for (const auto& candidate : candidates)
    if (candidate.is_here && (wanted.empty() || wanted == candidate.name)) return candidate.level();
  return std::nullopt;
}

}  // namespace spinconv::native
