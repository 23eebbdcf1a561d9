// SPDX-License-Identifier: MIT
#include "opencl_places.h"

#include "spinconv/device.h"

#include "spinconv/model.h"

#include <algorithm>

namespace spinconv::gpu {
namespace opencl {
namespace {

template <class Getter, class Object>
std::string text_of(Getter get, Object object, uint32_t what) {
  size_t size = 0;
  if (get(object, what, 0, nullptr, &size) != success || size == 0) return "";
  std::string text(size, '\0');
  if (get(object, what, size, text.data(), nullptr) != success) return "";
  return text.substr(0, text.find('\0'));
}

std::vector<Platform> platforms() {
  uint32_t n = 0;
  if (functions().get_platforms(0, nullptr, &n) != success || n == 0) return {};
  std::vector<Platform> found(n);
  if (functions().get_platforms(n, found.data(), nullptr) != success) return {};
  return found;
}

bool can_compute(const Place& place) {
  const auto version = place.text(device_version);
  const bool is_old = version.rfind("OpenCL 1.0", 0) == 0 || version.rfind("OpenCL 1.1", 0) == 0;
  return place.number<uint32_t>(device_available) && place.number<uint32_t>(device_compiler) && !is_old;
}

void add_places(Platform platform, Flags type, std::vector<Place>& places) {
  uint32_t n = 0;
  if (functions().get_devices(platform, type, 0, nullptr, &n) != success || n == 0) return;
  std::vector<DeviceId> devices(n);
  if (functions().get_devices(platform, type, n, devices.data(), nullptr) != success) return;
  for (const auto device : devices)
    if (const Place place{platform, device, type}; can_compute(place)) places.push_back(place);
}

/// Processes share the devices of the first one's type: none of them gets the processor where there is a GPU.
int share_of(int process, const std::vector<Place>& places) {
  const auto n = std::count_if(places.begin(), places.end(), [&](const Place& place) { return place.type == places[0].type; });
  return static_cast<int>(process % n);
}

}  // namespace

std::string Place::text(uint32_t what) const { return text_of(functions().get_device, device, what); }

std::string Place::description() const {
  const auto version = text(device_version);   // "OpenCL 3.0 and what its maker adds"
  return text(device_name) + " (" + version.substr(0, version.find(' ', version.find(' ') + 1)) + ", " +
         text_of(functions().get_platform, platform, platform_name) + ")";
}

std::vector<std::string> Place::versions() const {
  return {description(), text(device_version), text(driver_version), text_of(functions().get_platform, platform, platform_version)};
}

std::vector<Place> find_places() {
  std::vector<Place> places;
  if (!functions().problem.empty()) return places;
  const auto all = platforms();
  for (const Flags type : {type_gpu, type_accelerator, type_cpu})
    for (const auto platform : all) add_places(platform, type, places);
  return places;
}

std::pair<Place, int> find_place(int index, int process) {
  const auto name = "`device` is opencl" + (index < 0 ? "" : ":" + std::to_string(index));
  const auto& problem = functions().problem;
  if (!problem.empty()) throw Error(name + ", but OpenCL's library " + problem + "; install it and your device's driver");
  const auto places = find_places();
  if (places.empty()) throw Error(name + ", but OpenCL finds no device; install your device's driver (for a processor: pocl)");
  if (index < 0) index = share_of(process, places);
  if (index >= static_cast<int>(places.size())) throw Error(name + ", but here are only " + in_words(opencl_devices()));
  return {places[static_cast<size_t>(index)], index};
}

}  // namespace opencl

std::vector<Found> opencl_devices() {
  std::vector<Found> found;
  for (const auto& place : opencl::find_places()) found.push_back({"opencl:" + std::to_string(found.size()), place.description()});
  return found;
}

}  // namespace spinconv::gpu
