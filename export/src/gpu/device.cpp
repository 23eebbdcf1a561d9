// SPDX-License-Identifier: MIT
#include "spinconv/device.h"

#include "spinconv/model.h"

#include <cstring>

namespace spinconv::gpu {
namespace {

constexpr size_t most_digits = 3;   // of an index

bool is_index(const std::string& text) {
  return !text.empty() && text.size() <= most_digits && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string what_is_here() {
  auto devices = cuda_devices();
  for (const auto& device : opencl_devices()) devices.push_back(device);
  return devices.empty() ? "none is found here" : "here are " + in_words(devices);
}

}  // namespace

Argument::Argument(const void* from, size_t size) : size(size) { std::memcpy(number, from, size); }

std::string in_words(const std::vector<Found>& devices) {
  std::string list;
  for (const auto& device : devices) list += (list.empty() ? "" : ", ") + device.name + " (" + device.description + ")";
  return list;
}

std::unique_ptr<Device> open_device(const std::string& name, int process) {
  const auto colon = name.find(':');
  const auto kind = name.substr(0, colon), index = colon == std::string::npos ? "" : name.substr(colon + 1);
  if ((kind != "cuda" && kind != "opencl") || (colon != std::string::npos && !is_index(index))) {
    throw Error("`device` must be cuda, cuda:<index>, opencl or opencl:<index>, got " + name + "; " + what_is_here());
  }
  const int number = index.empty() ? -1 : std::stoi(index);
  return kind == "cuda" ? open_cuda_device(number, process) : open_opencl_device(number, process);
}

}  // namespace spinconv::gpu
