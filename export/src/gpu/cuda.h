// The part of the interface of NVIDIA's driver that is needed here, as libcuda.so.1 has it since CUDA 11: its types, its numbers and its functions. No
// header of CUDA is needed to build.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace spinconv::gpu::cuda {

using Status = int;
using DeviceId = int;
using Pointer = unsigned long long;   // to memory of a device
// What the driver makes, seen by pointers only.
using Context = struct ContextTag*;
using Stream = struct StreamTag*;
using Module = struct ModuleTag*;
using Function = struct FunctionTag*;

constexpr Status success = 0, out_of_memory = 2;
constexpr unsigned non_blocking = 1;   // of a stream: it does not wait for the default one
constexpr int attribute_threads = 1, attribute_shared_memory = 8, attribute_major = 75, attribute_minor = 76;   // of a device
constexpr int jit_error_log = 5, jit_error_log_size = 6;   // options of loading

struct Functions {
  Status (*initialize)(unsigned flags);
  Status (*get_version)(int* version);
  Status (*get_error_name)(Status status, const char** name);
  Status (*get_error_text)(Status status, const char** text);
  Status (*count_devices)(int* n);
  Status (*get_device)(DeviceId* device, int index);
  Status (*get_name)(char* name, int size, DeviceId device);
  Status (*get_memory)(size_t* bytes, DeviceId device);
  Status (*get_attribute)(int* value, int attribute, DeviceId device);
  Status (*retain_context)(Context* context, DeviceId device);
  Status (*release_context)(DeviceId device);
  Status (*push)(Context context);
  Status (*pop)(Context* context);
  Status (*get_free_memory)(size_t* free, size_t* all);
  Status (*allocate)(Pointer* pointer, size_t bytes);
  Status (*free)(Pointer pointer);
  Status (*allocate_host)(void** pointer, size_t bytes, unsigned flags);
  Status (*free_host)(void* pointer);
  Status (*write)(Pointer to, const void* from, size_t bytes, Stream stream);
  Status (*read)(void* to, Pointer from, size_t bytes, Stream stream);
  Status (*fill)(Pointer pointer, unsigned char value, size_t bytes, Stream stream);
  Status (*create_stream)(Stream* stream, unsigned flags);
  Status (*destroy_stream)(Stream stream);
  Status (*synchronize)(Stream stream);
  Status (*load)(Module* module, const void* image, unsigned n_options, int* options, void** values);
  Status (*unload)(Module module);
  Status (*get_function)(Function* function, Module module, const char* name);
  Status (*launch)(Function function, unsigned groups_x, unsigned groups_y, unsigned groups_z, unsigned threads_x, unsigned threads_y, unsigned threads_z,
                   unsigned shared_bytes, Stream stream, void** arguments, void** more);

  std::string problem;   // "", or in words why the driver cannot be used
};

/// The driver's, loaded and initialised at the first call.
const Functions& functions();

/// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)"
std::string in_words(Status status);

/// 12040 for CUDA 12.4; of the driver.
int version();

}  // namespace spinconv::gpu::cuda
