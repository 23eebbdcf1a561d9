// SPDX-License-Identifier: MIT
#include "cuda.h"

#include "shared_library.h"

namespace spinconv::gpu::cuda {
namespace {

std::string in_words_of(const Functions& f, Status status) {
  const char *name = nullptr, *text = nullptr;
  const bool known = f.get_error_name(status, &name) == success && f.get_error_text(status, &text) == success && name != nullptr && text != nullptr;
  return known ? std::string(name) + " (" + text + ")" : "error " + std::to_string(status);
}

Functions load() {
  SharedLibrary library({"libcuda.so.1"});
  Functions f{};
  library.find(f.initialize, "cuInit");
  library.find(f.get_version, "cuDriverGetVersion");
  library.find(f.get_error_name, "cuGetErrorName");
  library.find(f.get_error_text, "cuGetErrorString");
  library.find(f.count_devices, "cuDeviceGetCount");
  library.find(f.get_device, "cuDeviceGet");
  library.find(f.get_name, "cuDeviceGetName");
  library.find(f.get_memory, "cuDeviceTotalMem_v2");
  library.find(f.get_attribute, "cuDeviceGetAttribute");
  library.find(f.retain_context, "cuDevicePrimaryCtxRetain");
  library.find(f.release_context, "cuDevicePrimaryCtxRelease_v2");
  library.find(f.push, "cuCtxPushCurrent_v2");
  library.find(f.pop, "cuCtxPopCurrent_v2");
  library.find(f.get_free_memory, "cuMemGetInfo_v2");
  library.find(f.allocate, "cuMemAlloc_v2");
  library.find(f.free, "cuMemFree_v2");
  library.find(f.allocate_host, "cuMemHostAlloc");
  library.find(f.free_host, "cuMemFreeHost");
  library.find(f.write, "cuMemcpyHtoDAsync_v2");
  library.find(f.read, "cuMemcpyDtoHAsync_v2");
  library.find(f.fill, "cuMemsetD8Async");
  library.find(f.create_stream, "cuStreamCreate");
  library.find(f.destroy_stream, "cuStreamDestroy_v2");
  library.find(f.synchronize, "cuStreamSynchronize");
  library.find(f.load, "cuModuleLoadDataEx");
  library.find(f.unload, "cuModuleUnload");
  library.find(f.get_function, "cuModuleGetFunction");
  library.find(f.launch, "cuLaunchKernel");
  f.problem = library.problem();
  if (!f.problem.empty()) return f;
  if (const auto status = f.initialize(0); status != success) f.problem = "finds no GPU that it can use: " + in_words_of(f, status);
  return f;
}

}  // namespace

const Functions& functions() {
  static const Functions loaded = load();
  return loaded;
}

std::string in_words(Status status) { return in_words_of(functions(), status); }

int version() {
  int version = 0;
  functions().get_version(&version);
  return version;
}

}  // namespace spinconv::gpu::cuda
