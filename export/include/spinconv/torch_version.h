// Which libtorch is there, and whether it is the one that was compiled against: its C++ interface changes with the minor version, and
// what follows a mix is a crash without a word. To be asked before anything else of torch is called.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace spinconv {

/// What `aoti_torch_abi_version()` of libtorch_cpu gives: 0x020d00... for 2.13.0.
using TorchVersion = uint64_t;

/// "2.13".
inline std::string minor_of(TorchVersion version)
{
  return std::to_string(version >> 56) + "." + std::to_string((version >> 48) & 0xff);
}

/// Why what was built for one version cannot run with another one, or nothing.
inline std::string torch_problem(TorchVersion built, TorchVersion found)
{
  if (minor_of(built) == minor_of(found)) return "";
  return "it was built for torch " + minor_of(built) + ", found torch " + minor_of(found) + "; `pip install torch~=" + minor_of(built) +
      ".0`, or build it again for the one you have (pip install --force-reinstall --no-deps . in the folder of the sources)";
}

}  // namespace spinconv
