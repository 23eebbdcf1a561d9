// SPDX-License-Identifier: MIT
#include "cuda_places.h"

#include "spinconv/device.h"

#include "spinconv/model.h"

namespace spinconv::gpu {
namespace cuda {
namespace {

constexpr int oldest_version = 12000;   // of the driver, whose compiler is that of CUDA 12
constexpr int most_characters = 256;    // of a name

int count() {
  int n = 0;
  return functions().problem.empty() && functions().count_devices(&n) == success ? n : 0;
}

std::string dotted(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

}  // namespace

int Place::attribute(int which) const {
  int value = 0;
  return functions().get_attribute(&value, which, device) == success ? value : 0;
}

int64_t Place::memory() const {
  size_t bytes = 0;
  return functions().get_memory(&bytes, device) == success ? static_cast<int64_t>(bytes) : 0;
}

int Place::architecture() const { return 10 * attribute(attribute_major) + attribute(attribute_minor); }

std::string Place::description() const {
  char name[most_characters] = "";
  functions().get_name(name, most_characters - 1, device);
  return std::string(name) + " (CUDA " + dotted(version()) + ")";
}

std::pair<Place, int> find_place(int index, int process) {
  const auto name = "`device` is cuda" + (index < 0 ? "" : ":" + std::to_string(index));
  if (const auto& problem = functions().problem; !problem.empty()) throw Error(name + ", but NVIDIA's driver " + problem);
  if (version() < oldest_version) throw Error(name + ", but NVIDIA's driver is of CUDA " + dotted(version()) + "; install one of CUDA 12 or later");
  const int n = count();
  if (n == 0) throw Error(name + ", but NVIDIA's driver finds no GPU");
  if (index < 0) index = process % n;
  if (index >= n) throw Error(name + ", but here are only " + in_words(cuda_devices()));
  Place place;
  if (const auto status = functions().get_device(&place.device, index); status != success) throw Error(name + ", which cannot be had: " + in_words(status));
  return {place, index};
}

}  // namespace cuda

std::vector<Found> cuda_devices() {
  std::vector<Found> found;
  for (int index = 0; index < cuda::count(); ++index) {
    cuda::Place place;
    if (cuda::functions().get_device(&place.device, index) != cuda::success) continue;
    found.push_back({"cuda:" + std::to_string(index), place.description()});
  }
  return found;
}

}  // namespace spinconv::gpu
