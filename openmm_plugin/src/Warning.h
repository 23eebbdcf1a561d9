// What a user should hear of and a simulation goes on with.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace spinconv {

/// Takes a sentence; not 0 where the user wants to end on a warning.
using WarningHandler = int (*)(const char* words);

/// Who hears the warnings of this process from now on; nullptr for std::cerr, where they go at first.
void set_warning_handler(WarningHandler handler);

/// Throws OpenMMException where the handler wants to end.
void warn(const std::string& words);

}  // namespace spinconv
