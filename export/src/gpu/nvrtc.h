// NVIDIA's compiler of CUDA C++ at run time, in a library (libnvrtc.so) that a Python package, or the CUDA toolkit, brings. It needs no GPU.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace spinconv::gpu {

class Nvrtc {
 public:
  struct Compiled {
    std::string binary;   // "" where it does not compile
    std::string log;      // errors and warnings, "" where there are none
  };

  /// The first of `paths` that can be loaded. Error where none can, or what can is older than 11.2.
  explicit Nvrtc(const std::vector<std::string>& paths);

  int version() const { return version_; }   // 12.9: 12090
  std::string name() const;                  // "NVRTC 12.9"
  const std::vector<int>& architectures() const { return architectures_; }   // 90 of sm_90, in their order

  /// A program, whole, for an architecture of GPUs: to machine code for "sm_90", to PTX for "compute_90".
  Compiled compile(const std::string& text, const std::string& architecture, const std::vector<std::string>& more_options = {}) const;

  /// Of every compilation.
  static const std::vector<std::string>& options();

 private:
  struct Functions;
  std::shared_ptr<const Functions> functions_;
  int version_ = 0;
  std::vector<int> architectures_;
};

/// Where the library may be, of CUDA's major version `newest`, 12 or later, and older: as a Python package beside this one, where the system looks for
/// libraries, and in the toolkit. A driver cannot run what a newer major version compiled.
std::vector<std::string> places_of_nvrtc(int newest);

/// What brings the library, for those who lack it: "pip install ...".
std::string how_to_get_nvrtc(int newest);

}  // namespace spinconv::gpu
