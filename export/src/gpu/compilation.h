// What compiling has in common in either language: the text, and the compiler's answer.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace spinconv::gpu {

/// The prelude and `source`, of which a first line `#define REAL_IS_DOUBLE` goes before it. Compilers count the lines of `source`, and call it "kernels".
std::string whole_text(const std::string& source);

/// The errors that a compiler's log begins with, or else its beginning, in one line.
std::string first_words(const std::string& log);

}  // namespace spinconv::gpu
