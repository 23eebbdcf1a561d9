// SPDX-License-Identifier: MIT
#include "shared_library.h"

#include <dlfcn.h>

namespace spinconv::gpu {

SharedLibrary::SharedLibrary(const std::vector<std::string>& names) {
  bool found_one = false;   // which then is the one to speak of
  for (const auto& name : names) {
    handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      problem_.clear();
      return;
    }
    const std::string why = dlerror();
    const bool is_there = why.find("No such file") == std::string::npos;
    if (is_there || !found_one) problem_ = "cannot be loaded: " + why;
    found_one = found_one || is_there;
  }
}

void* SharedLibrary::address(const char* name) {
  void* found = handle_ == nullptr ? nullptr : dlsym(handle_, name);
  if (found == nullptr && problem_.empty()) problem_ = std::string("is too old: it has no ") + name;
  return found;
}

}  // namespace spinconv::gpu
