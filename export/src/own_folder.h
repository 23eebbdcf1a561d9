// Where the library is that this code is linked into.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace spinconv {

/// With a slash at its end; "" where the system does not say.
std::string own_folder();

}  // namespace spinconv
