// SPDX-License-Identifier: MIT
#include "levels.h"

#if defined(SPINCONV_X86_LEVELS) && defined(__clang__)
#include <cpuid.h>
#endif

namespace spinconv::native {
namespace {

/// An instruction set. Nothing of its unit is called, not even what says its kernels, before the processor is known to have all of it.
struct Candidate {
  const char* name;
  bool is_here;
  Level (*level)();
};

#ifdef SPINCONV_X86_LEVELS
#ifdef __clang__
/// What GCC's `__builtin_cpu_supports("x86-64-v3")` says: all features of the level, and an operating system that keeps its registers.
bool has_v3() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_MOVBE) == 0 || (c & bit_F16C) == 0) return false;
  if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || (c & bit_LZCNT) == 0) return false;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

bool has_v4() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
bool has_v3() { return __builtin_cpu_supports("x86-64-v3") != 0; }
bool has_v4() { return __builtin_cpu_supports("x86-64-v4") != 0; }
#endif
#endif

}  // namespace

std::optional<Level> level_here(const std::string& wanted) {
#ifdef SPINCONV_X86_LEVELS
  const Candidate candidates[] = {{"x86-64-v4", has_v4(), level_x86_64_v4},
                                  {"x86-64-v3", has_v3(), level_x86_64_v3}};
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
