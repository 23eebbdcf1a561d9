// SPDX-License-Identifier: MIT
#include "launcher.h"

#include <algorithm>
#include <type_traits>

namespace spinconv::gpu {

void Launcher::launch(const char* name, int64_t n_groups, int64_t threads, const std::vector<Argument>& arguments) {
  if (n_groups > 0) device_.launch(program_->kernel(name), n_groups, threads, arguments);
}

void Launcher::launch_by_number(const char* name, int64_t n, std::vector<Argument> arguments) {
  arguments.insert(arguments.begin(), Argument(n));
  launch_for(name, n, arguments);
}

void Launcher::write_wide(DeviceArray<char>& to, const double* numbers, int64_t n, double unit) {
  char* here = wide_here_.fit(device_, n * wide_bytes());
  const auto scale = [&](auto* scaled) {
    for (int64_t k = 0; k < n; ++k) scaled[k] = static_cast<std::remove_pointer_t<decltype(scaled)>>(unit * numbers[k]);
  };
  device_.has_double() ? scale(reinterpret_cast<double*>(here)) : scale(reinterpret_cast<float*>(here));
  to.write(device_, here, n * wide_bytes());
}

void Launcher::read_wide(const Memory& from, int64_t n, std::vector<double>& numbers) {
  numbers.resize(n);
  char* here = wide_here_.fit(device_, n * wide_bytes());
  device_.read(from, 0, here, n * wide_bytes());
  device_.has_double() ? std::copy_n(reinterpret_cast<const double*>(here), n, numbers.begin()) : std::copy_n(reinterpret_cast<const float*>(here), n, numbers.begin());
}

}  // namespace spinconv::gpu
