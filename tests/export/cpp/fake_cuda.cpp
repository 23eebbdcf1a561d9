// NVIDIA's driver as far as tests need one that is everywhere: a GPU of 1 GB whose memory is the host's, and which knows the kernels of test_gpu_device.cpp by
// their names. It insists on what the driver wants: its context pushed, once, around each call, and all freed before the context goes.
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace {

using Pointer = unsigned long long;
struct Module {
  bool is_double;
};
struct Function {
  std::string name;
  bool is_double;
};

constexpr int success = 0, invalid_value = 1, out_of_memory = 2, invalid_context = 201, no_binary = 209, not_found = 500;
constexpr size_t memory = 1000000000;

size_t n_bytes = 0;
int depth = 0, n_live = 0, n_retained = 0;
std::map<Pointer, size_t> sizes;
std::map<std::string, Function> known_functions;

int architecture() {
  const char* said = std::getenv("SPINCONV_FAKE_ARCHITECTURE");
  return said == nullptr ? 90 : std::atoi(said);
}

template <class Value>
const Value& argument(void** arguments, int i) {
  return *static_cast<Value*>(arguments[i]);
}

template <class Real>
void run(const std::string& name, unsigned groups, unsigned threads, void** arguments) {
  if (name == "tell") {
    auto* told = argument<int64_t*>(arguments, 0);
    told[0] = argument<void*>(arguments, 1) == nullptr;
    told[1] = argument<int32_t>(arguments, 2);
    told[2] = argument<int64_t>(arguments, 3);
    told[3] = static_cast<int64_t>(argument<Real>(arguments, 4) * 1000);
    return;
  }
  const auto* a = argument<Real*>(arguments, 0);
  auto* b = argument<Real*>(arguments, 1);
  for (unsigned i = 0; i < groups * threads; ++i) {
    if (name == "add" && static_cast<int>(i) < argument<int>(arguments, 3)) b[i] = a[i] + argument<Real>(arguments, 2);
    if (name == "sum") b[i / threads] = (i % threads == 0 ? 0 : b[i / threads]) + a[i];
  }
}

bool is_inside(Pointer pointer, size_t bytes) {
  auto after = sizes.upper_bound(pointer);
  if (after == sizes.begin()) return false;
  const auto& [first, size] = *--after;
  return pointer + bytes <= first + size;
}

}  // namespace

extern "C" {

int cuInit(unsigned) { return success; }
int cuDriverGetVersion(int* version) {
  *version = 12040;
  return success;
}
int cuGetErrorName(int status, const char** name) {
  *name = status == out_of_memory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OTHER";
  return success;
}
int cuGetErrorString(int, const char** text) {
  *text = "in words";
  return success;
}
int cuDeviceGetCount(int* n) {
  *n = 1;
  return success;
}
int cuDeviceGet(int* device, int index) {
  *device = index;
  return success;
}
int cuDeviceGetName(char* name, int size, int) {
  std::snprintf(name, static_cast<size_t>(size), "No GPU");
  return success;
}
int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = memory;
  return success;
}
int cuDeviceGetAttribute(int* value, int attribute, int) {
  const std::map<int, int> values = {{1, 1024}, {8, 49152}, {75, architecture() / 10}, {76, architecture() % 10}};
  *value = values.at(attribute);
  return success;
}
int cuDevicePrimaryCtxRetain(void** context, int) {
  *context = &depth;
  ++n_retained;
  return success;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  if (--n_retained == 0 && (n_live != 0 || depth != 0)) std::abort();
  return success;
}
int cuCtxPushCurrent_v2(void*) {
  ++depth;
  return success;
}
int cuCtxPopCurrent_v2(void**) {
  --depth;
  return success;
}
int cuMemGetInfo_v2(size_t* free, size_t* all) {
  *free = memory - n_bytes, *all = memory;
  return depth > 0 ? success : invalid_context;
}
int cuMemAlloc_v2(Pointer* pointer, size_t bytes) {
  if (depth != 1) return invalid_context;
  if (bytes == 0) return invalid_value;
  if (n_bytes + bytes > memory) return out_of_memory;
  *pointer = reinterpret_cast<Pointer>(std::malloc(bytes));
  sizes[*pointer] = bytes, n_bytes += bytes, ++n_live;
  return success;
}
int cuMemFree_v2(Pointer pointer) {
  if (depth != 1) return invalid_context;
  n_bytes -= sizes.at(pointer), --n_live;
  sizes.erase(pointer);
  std::free(reinterpret_cast<void*>(pointer));
  return success;
}
int cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  if (depth != 1 || flags != 0) return invalid_context;
  if (bytes == 0) return invalid_value;
  if (bytes > memory) return out_of_memory;
  *pointer = std::malloc(bytes), ++n_live;
  return success;
}
int cuMemFreeHost(void* pointer) {
  if (depth != 1) return invalid_context;
  std::free(pointer), --n_live;
  return success;
}
int cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void*) {
  if (depth != 1 || !is_inside(to, bytes)) return invalid_value;
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return success;
}
int cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void*) {
  if (depth != 1 || !is_inside(from, bytes)) return invalid_value;
  std::memcpy(to, reinterpret_cast<void*>(from), bytes);
  return success;
}
int cuMemsetD8Async(Pointer to, unsigned char value, size_t bytes, void*) {
  if (depth != 1 || !is_inside(to, bytes)) return invalid_value;
  std::memset(reinterpret_cast<void*>(to), value, bytes);
  return success;
}
int cuStreamCreate(void** stream, unsigned flags) {
  *stream = &n_live, ++n_live;
  return depth == 1 && flags == 1 ? success : invalid_value;
}
int cuStreamDestroy_v2(void*) {
  --n_live;
  return success;
}
int cuStreamSynchronize(void*) { return depth == 1 ? success : invalid_context; }
int cuModuleLoadDataEx(Module** module, const void* image, unsigned, int*, void**) {
  if (depth != 1) return invalid_context;
  const std::string text = static_cast<const char*>(image);
  const bool fits = text.rfind("sm_" + std::to_string(architecture()) + " ", 0) == 0 ||
                    (text.rfind("compute_", 0) == 0 && std::atoi(text.c_str() + 8) <= architecture());
  if (!fits) return no_binary;
  *module = new Module{text.find("\n#line 2 ") != std::string::npos}, ++n_live;   // after the line that makes numbers doubles
  return success;
}
int cuModuleUnload(Module* module) {
  delete module;
  --n_live;
  return depth == 1 ? success : invalid_context;
}
int cuModuleGetFunction(Function** function, Module* module, const char* name) {
  if (std::string(name) == "other") return not_found;
  *function = &(known_functions[name + std::to_string(module->is_double)] = {name, module->is_double});
  return depth == 1 ? success : invalid_context;
}
int cuLaunchKernel(Function* function, unsigned groups, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned, void*, void** arguments, void**) {
  if (depth != 1 || groups == 0) return invalid_value;
  (function->is_double ? run<double> : run<float>)(function->name, groups, threads, arguments);
  return success;
}

}  // extern "C"
