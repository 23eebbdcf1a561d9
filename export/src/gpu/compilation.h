// What compiling has in common in either language: the compiler's answer.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace spinconv::gpu {

/// The errors that a compiler's log begins with, or else its beginning, in one line.
std::string first_words(const std::string& log);

}  // namespace spinconv::gpu
