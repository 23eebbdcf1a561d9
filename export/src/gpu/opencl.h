// The part of OpenCL 1.2 that is needed here: its types, its numbers and its functions, which are those of the system's libOpenCL.so.1. It is what
// the specification says; no header of OpenCL is needed to build.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace spinconv::gpu::opencl {

using Status = int32_t;
using Flags = uint64_t;
// What the library makes, seen by pointers only.
using Platform = struct PlatformTag*;
using DeviceId = struct DeviceTag*;
using Context = struct ContextTag*;
using Queue = struct QueueTag*;
using Buffer = struct BufferTag*;
using ProgramId = struct ProgramTag*;
using KernelId = struct KernelTag*;
using Event = struct EventTag*;

constexpr Status success = 0, allocation_failure = -4, out_of_host_memory = -6;
constexpr uint32_t yes = 1;   // of blocking calls
constexpr Flags type_cpu = 2, type_gpu = 4, type_accelerator = 8;
constexpr Flags read_and_write = 1, on_the_host = 1 << 4;   // of a buffer
constexpr Flags map_both_ways = 3;   // to be read and written
constexpr intptr_t context_platform = 0x1084;
constexpr uint32_t platform_version = 0x0901, platform_name = 0x0902;
constexpr uint32_t device_work_group_size = 0x1004, device_allocation = 0x1010, device_memory = 0x101F, device_local_memory = 0x1023,
                   device_available = 0x1027, device_compiler = 0x1028, device_name = 0x102B, driver_version = 0x102D, device_version = 0x102F,
                   device_double = 0x1032;
constexpr uint32_t program_binary_sizes = 0x1165, program_binaries = 0x1166, build_log = 0x1183;

struct Functions {
  Status (*get_platforms)(uint32_t n, Platform* platforms, uint32_t* there);
  Status (*get_platform)(Platform platform, uint32_t what, size_t size, void* value, size_t* written);
  Status (*get_devices)(Platform platform, Flags type, uint32_t n, DeviceId* devices, uint32_t* there);
  Status (*get_device)(DeviceId device, uint32_t what, size_t size, void* value, size_t* written);
  Context (*create_context)(const intptr_t* properties, uint32_t n, const DeviceId* devices, void (*notify)(const char*, const void*, size_t, void*),
                            void* data, Status* status);
  Status (*release_context)(Context context);
  Queue (*create_queue)(Context context, DeviceId device, Flags properties, Status* status);
  Status (*release_queue)(Queue queue);
  Status (*finish)(Queue queue);
  Buffer (*create_buffer)(Context context, Flags flags, size_t size, void* host, Status* status);
  Status (*release_buffer)(Buffer buffer);
  Status (*write)(Queue queue, Buffer buffer, uint32_t blocking, size_t offset, size_t size, const void* from, uint32_t n, const Event* after, Event* done);
  Status (*read)(Queue queue, Buffer buffer, uint32_t blocking, size_t offset, size_t size, void* to, uint32_t n, const Event* after, Event* done);
  void* (*map)(Queue queue, Buffer buffer, uint32_t blocking, Flags flags, size_t offset, size_t size, uint32_t n, const Event* after, Event* done, Status* status);
  Status (*unmap)(Queue queue, Buffer buffer, void* pointer, uint32_t n, const Event* after, Event* done);
  Status (*fill)(Queue queue, Buffer buffer, const void* pattern, size_t pattern_size, size_t offset, size_t size, uint32_t n, const Event* after, Event* done);
  ProgramId (*create_from_source)(Context context, uint32_t n, const char** texts, const size_t* lengths, Status* status);
  ProgramId (*create_from_binary)(Context context, uint32_t n, const DeviceId* devices, const size_t* lengths, const unsigned char** binaries,
                                  Status* of_binaries, Status* status);
  Status (*release_program)(ProgramId program);
  Status (*build)(ProgramId program, uint32_t n, const DeviceId* devices, const char* options, void (*notify)(ProgramId, void*), void* data);
  Status (*get_build)(ProgramId program, DeviceId device, uint32_t what, size_t size, void* value, size_t* written);
  Status (*get_program)(ProgramId program, uint32_t what, size_t size, void* value, size_t* written);
  KernelId (*create_kernel)(ProgramId program, const char* name, Status* status);
  Status (*release_kernel)(KernelId kernel);
  Status (*set_argument)(KernelId kernel, uint32_t index, size_t size, const void* value);
  Status (*launch)(Queue queue, KernelId kernel, uint32_t dimensions, const size_t* offset, const size_t* threads, const size_t* group, uint32_t n,
                   const Event* after, Event* done);

  std::string problem;   // "", or in words why the library cannot be used
};

/// The library's, loaded at the first call.
const Functions& functions();

/// "CL_OUT_OF_RESOURCES (-5)"
std::string in_words(Status status);

}  // namespace spinconv::gpu::opencl
