// A library that is loaded when it is asked for, and stays.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace spinconv::gpu {

class SharedLibrary {
 public:
  /// The first of `names`, or paths, that can be loaded.
  explicit SharedLibrary(const std::vector<std::string>& names);

  /// "", or in words why it can't be used: it is not there, or lacks a function.
  const std::string& problem() const { return problem_; }

  template <class Function>
  void find(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(address(name));
  }

 private:
  void* address(const char* name);

  void* handle_ = nullptr;
  std::string problem_;
};

}  // namespace spinconv::gpu
