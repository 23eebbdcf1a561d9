// A device that kernels are compiled for at run time: a GPU by NVIDIA's driver and NVRTC (cuda_device.cpp), or whatever OpenCL offers, a CPU
// among it (opencl_device.cpp). Their libraries are loaded when a device is asked for; nothing is linked.
//
// One source serves both: it begins with a page that gives the words of kernels their meaning in either language (prelude.h). All work goes in
// one order; `read` waits for what was launched before it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace spinconv::gpu {

/// Memory of a device, freed with its object, which must not outlive the device.
class Memory {
 public:
  virtual ~Memory() = default;
  int64_t bytes = 0;
};

/// Memory of the host that goes over the bus as fast as it can, freed with its object, which must not outlive the device.
class HostMemory {
 public:
  virtual ~HostMemory() = default;
  void* data = nullptr;
};

/// As any other.
class PlainMemory : public HostMemory {
 public:
  explicit PlainMemory(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) { data = bytes_.data(); }

 private:
  std::vector<unsigned char> bytes_;
};

/// A function of a program. It belongs to the program.
class Kernel {
 public:
  virtual ~Kernel() = default;
};

class Program {
 public:
  virtual ~Program() = default;
  /// spinconv::Error where there is none of this name.
  virtual Kernel& kernel(const std::string& name) = 0;
};

/// An argument of a kernel: memory, or a number by value.
struct Argument {
  const Memory* memory = nullptr;   // a null pointer for the kernel where both are null
  unsigned char number[8] = {};
  size_t size = 0;                  // bytes of the number; 0: memory

  Argument(const Memory* memory) : memory(memory) {}
  Argument(const std::unique_ptr<Memory>& memory) : memory(memory.get()) {}
  Argument(int32_t value) : Argument(&value, sizeof value) {}
  Argument(int64_t value) : Argument(&value, sizeof value) {}
  Argument(float value) : Argument(&value, sizeof value) {}
  Argument(double value) : Argument(&value, sizeof value) {}

 private:
  Argument(const void* from, size_t size);
};

class Device {
 public:
  virtual ~Device() = default;

  /// "cuda:0" or "opencl:1", as Options::device has it.
  virtual std::string name() const = 0;
  /// "NVIDIA H100 80GB HBM3 (CUDA 12.4)"
  virtual std::string description() const = 0;
  virtual bool has_double() const = 0;
  virtual int64_t free_memory() const = 0;       // bytes, about
  virtual int64_t largest_memory() const = 0;    // bytes of one piece
  virtual int64_t shared_memory() const = 0;     // bytes that a work group may declare
  virtual int64_t most_threads() const = 0;      // of a work group

  /// OutOfMemory, with what was asked for and what there is, where it cannot be had.
  virtual std::unique_ptr<Memory> allocate(int64_t bytes) = 0;
  /// Pinned, where the driver has such memory and gives it.
  virtual std::unique_ptr<HostMemory> allocate_host(int64_t bytes) { return std::make_unique<PlainMemory>(bytes); }
  /// What `from` points at may change when this returns.
  virtual void write(Memory& to, int64_t offset, const void* from, int64_t bytes) = 0;
  virtual void read(const Memory& from, int64_t offset, void* to, int64_t bytes) = 0;
  virtual void clear(Memory& memory, int64_t offset, int64_t bytes) = 0;   // to zero bytes
  /// Compiles, or takes from the cache what was compiled before of the same text for the same device, driver and compiler. `source` is without the
  /// prelude. spinconv::Error, with the compiler's first words, where it does not compile.
  virtual std::unique_ptr<Program> compile(const std::string& source) = 0;
  virtual void launch(Kernel& kernel, int64_t groups, int64_t threads, const std::vector<Argument>& arguments) = 0;
  /// Waits for all that was launched. spinconv::Error where something of it failed.
  virtual void finish() = 0;
};

/// What a compiler is given: the prelude and `source`, of which a first line `#define REAL_IS_DOUBLE` goes before it. Compilers count the lines of `source`,
/// and call it "kernels". With `groups_in_turn` a launch may have fewer groups than it has to do, whose number follows its arguments as an int32_t.
std::string whole_text(const std::string& source, bool groups_in_turn = false);

/// The device of a name: "cuda", "cuda:<index>", "opencl" or "opencl:<index>", which counts the devices of all platforms, GPUs first. Without an
/// index, `process` (of those on this machine) takes its share: process modulo the number of devices (of
/// OpenCL's, those of the first one's type). spinconv::Error with what is missing.
std::unique_ptr<Device> open_device(const std::string& name, int process = 0);

std::unique_ptr<Device> open_cuda_device(int index, int process);       // index -1: by process
std::unique_ptr<Device> open_opencl_device(int index, int process);

/// The devices that there are: their names, and in words what each is. Empty where there are none; never an error.
struct Found {
  std::string name, description;
};
std::vector<Found> cuda_devices();
std::vector<Found> opencl_devices();
/// "cuda:0 (NVIDIA H100 80GB HBM3 (CUDA 12.4)), cuda:1 (...)"
std::string in_words(const std::vector<Found>& devices);

}  // namespace spinconv::gpu
