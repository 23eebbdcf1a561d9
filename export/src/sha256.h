// SHA-256 (FIPS 180-4).
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace spinconv {

/// The hash of some bytes as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace spinconv
