// SPDX-License-Identifier: MIT
#include "own_folder.h"

#include <dlfcn.h>

namespace spinconv {

std::string own_folder() {
  Dl_info here;
  const bool known = dladdr(reinterpret_cast<void*>(&own_folder), &here) != 0;
  const std::string path = known ? here.dli_fname : "";
  return path.substr(0, path.rfind('/') + 1);
}

}  // namespace spinconv
