// The kernels of a model's text on a device, launched by number, and numbers that are `wide` there: double where the device has it, else float.
// SPDX-License-Identifier: MIT
#pragma once

#include "device_array.h"
#include "host_array.h"

#include <memory>
#include <string>
#include <vector>

namespace spinconv::gpu {

constexpr int64_t atom_threads = 128;   // of kernels by atom and channel, or by number (ATOM_THREADS)

class Launcher {
 public:
  Launcher(Device& device, const std::string& text) : device_(device), program_(device.compile(text)) {}

  void launch(const char* name, int64_t n_groups, int64_t threads, const std::vector<Argument>& arguments);
  /// As many groups as n threads are.
  void launch_for(const char* name, int64_t n, const std::vector<Argument>& arguments) { launch(name, (n + atom_threads - 1) / atom_threads, atom_threads, arguments); }
  /// The same with n as the first argument.
  void launch_by_number(const char* name, int64_t n, std::vector<Argument> arguments);

  Argument wide(double number) const { return device_.has_double() ? Argument(number) : Argument(static_cast<float>(number)); }
  int64_t wide_bytes() const { return device_.has_double() ? sizeof(double) : sizeof(float); }
  void write_wide(DeviceArray<char>& to, const double* numbers, int64_t n, double unit = 1.0);
  void write_wide(DeviceArray<char>& to, const std::vector<double>& numbers) { write_wide(to, numbers.data(), static_cast<int64_t>(numbers.size())); }
  void read_wide(const Memory& from, int64_t n, std::vector<double>& numbers);

 private:
  Device& device_;
  std::unique_ptr<Program> program_;
  HostArray<char> wide_here_;
};

}  // namespace spinconv::gpu
