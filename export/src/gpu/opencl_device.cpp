// SPDX-License-Identifier: MIT
#include "opencl_device.h"

#include "compilation.h"
#include "spinconv/device.h"
#include "kernel_cache.h"
#include "not_enough_memory.h"
#include "opencl_places.h"

#include "../evaluator.h"

#include <algorithm>
#include <map>
#include <utility>

namespace spinconv::gpu {
namespace {

using namespace opencl;

// Multiplications and additions may be fused. Whatever else is faster and less exact is not asked for.
constexpr const char* build_options = "-cl-std=CL1.2 -cl-mad-enable";

[[noreturn]] void fail(Status status, const std::string& what) {
  const auto text = "OpenCL cannot " + what + ": " + in_words(status);
  if (status == allocation_failure || status == out_of_host_memory) throw OutOfMemory("not enough memory, " + text);
  throw Error(text);
}

void check(Status status, const std::string& what) {
  if (status != success) fail(status, what);
}

class OpenclMemory : public Memory {
 public:
  OpenclMemory(Buffer buffer, int64_t size, int64_t& allocated) : buffer(buffer), allocated_(allocated) { bytes = size, allocated_ += size; }
  ~OpenclMemory() override {
    functions().release_buffer(buffer);
    allocated_ -= bytes;
  }

  const Buffer buffer;

 private:
  int64_t& allocated_;   // the device's
};

/// A buffer on the host that stays mapped: drivers pin what they make so.
class OpenclHostMemory : public HostMemory {
 public:
  OpenclHostMemory(Buffer buffer, Queue queue, void* pointer) : buffer_(buffer), queue_(queue) { data = pointer; }
  ~OpenclHostMemory() override {
    functions().unmap(queue_, buffer_, data, 0, nullptr, nullptr);
    functions().finish(queue_);
    functions().release_buffer(buffer_);
  }

 private:
  Buffer buffer_;
  Queue queue_;
};

class OpenclKernel : public Kernel {
 public:
  OpenclKernel(KernelId id, const std::string& name) : id(id), name(name) {}
  ~OpenclKernel() override { functions().release_kernel(id); }

  const KernelId id;
  const std::string name;
};

class OpenclProgram : public Program {
 public:
  explicit OpenclProgram(ProgramId id) : id_(id) {}
  ~OpenclProgram() override {
    kernels_.clear();
    if (id_ != nullptr) functions().release_program(id_);
  }

  ProgramId id() const { return id_; }
  /// For the one device it is compiled for; "" where the driver does not hand it out.
  std::string binary() const {
    size_t size = 0;
    if (functions().get_program(id_, program_binary_sizes, sizeof size, &size, nullptr) != success) return "";
    std::string binary(size, '\0');
    char* to = binary.data();
    return functions().get_program(id_, program_binaries, sizeof to, &to, nullptr) == success ? binary : "";
  }

  Kernel& kernel(const std::string& name) override {
    auto& kernel = kernels_[name];
    if (!kernel) {
      Status status;
      const auto made = functions().create_kernel(id_, name.c_str(), &status);
      check(status, "find the kernel " + name);
      kernel = std::make_unique<OpenclKernel>(made, name);
    }
    return *kernel;
  }

 private:
  ProgramId id_;
  std::map<std::string, std::unique_ptr<OpenclKernel>> kernels_;
};

class OpenclDevice : public Device {
 public:
  OpenclDevice(const Place& place, int index) : place_(place), index_(index) {
    const intptr_t properties[] = {context_platform, reinterpret_cast<intptr_t>(place.platform), 0};
    Status status;
    context_ = functions().create_context(properties, 1, &place.device, nullptr, nullptr, &status);
    check(status, "open " + description());
    queue_ = functions().create_queue(context_, place.device, 0, &status);
    if (status != success) functions().release_context(context_);
    check(status, "make a queue on " + description());
  }
  ~OpenclDevice() override {
    functions().finish(queue_);
    functions().release_queue(queue_);
    functions().release_context(context_);
  }

  std::string name() const override { return "opencl:" + std::to_string(index_); }
  std::string description() const override { return place_.description(); }
  bool has_double() const override { return place_.number<Flags>(device_double) != 0; }
  int64_t free_memory() const override { return static_cast<int64_t>(place_.number<uint64_t>(device_memory)) - allocated_; }
  int64_t largest_memory() const override { return static_cast<int64_t>(place_.number<uint64_t>(device_allocation)); }
  int64_t shared_memory() const override { return static_cast<int64_t>(place_.number<uint64_t>(device_local_memory)); }
  int64_t most_threads() const override { return static_cast<int64_t>(place_.number<size_t>(device_work_group_size)); }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    if (bytes > largest_memory() || bytes > free_memory()) refuse(bytes);
    Status status;
    const size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));   // OpenCL has no empty buffer
    const auto buffer = functions().create_buffer(context_, read_and_write, size, nullptr, &status);
    if (status != success) refuse(bytes);
    auto memory = std::make_unique<OpenclMemory>(buffer, bytes, allocated_);
    // memory is only taken when it is first used: better here than in the midst of a time step
    const unsigned char zero = 0;
    if (functions().fill(queue_, buffer, &zero, 1, 0, 1, 0, nullptr, nullptr) != success || functions().finish(queue_) != success) refuse(bytes);
    return memory;
  }

  std::unique_ptr<HostMemory> allocate_host(int64_t bytes) override {
    Status status;
    const size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
    const auto buffer = functions().create_buffer(context_, read_and_write | on_the_host, size, nullptr, &status);
    if (status != success) return Device::allocate_host(bytes);
    void* pointer = functions().map(queue_, buffer, yes, map_both_ways, 0, size, 0, nullptr, nullptr, &status);
    if (status == success) return std::make_unique<OpenclHostMemory>(buffer, queue_, pointer);
    functions().release_buffer(buffer);
    return Device::allocate_host(bytes);
  }

  void write(Memory& to, int64_t offset, const void* from, int64_t bytes) override {
    if (bytes == 0) return;
    check(functions().write(queue_, buffer_of(to), yes, static_cast<size_t>(offset), static_cast<size_t>(bytes), from, 0, nullptr, nullptr), "write to memory");
  }
  void read(const Memory& from, int64_t offset, void* to, int64_t bytes) override {
    if (bytes == 0) return finish();
    check(functions().read(queue_, buffer_of(from), yes, static_cast<size_t>(offset), static_cast<size_t>(bytes), to, 0, nullptr, nullptr), "read from memory");
  }
  void clear(Memory& memory, int64_t offset, int64_t bytes) override {
    if (bytes == 0) return;
    const unsigned char zero = 0;
    check(functions().fill(queue_, buffer_of(memory), &zero, 1, static_cast<size_t>(offset), static_cast<size_t>(bytes), 0, nullptr, nullptr), "clear memory");
  }

  std::unique_ptr<Program> compile(const std::string& source) override {
    const auto text = whole_text(source);
    auto decisive = place_.versions();
    decisive.insert(decisive.end(), {build_options, text});
    const auto name = kernel_name(decisive);
    if (auto program = from_binary(kept_kernel(name))) return program;
    auto program = from_text(text);
    keep_kernel(name, program->binary());
    return program;
  }

  std::string complaints(const std::string& source) const {
    const auto program = make_program(whole_text(source));
    const auto status = build(*program, std::string(build_options) + " -Werror");
    const auto log = log_of(program->id());
    return status == success ? "" : log.empty() ? in_words(status) : log;
  }

  void launch(Kernel& kernel, int64_t groups, int64_t threads, const std::vector<Argument>& arguments) override {
    if (groups == 0) return;
    const auto& opencl_kernel = static_cast<OpenclKernel&>(kernel);
    for (uint32_t i = 0; i < arguments.size(); ++i) {
      check(set(opencl_kernel.id, i, arguments[i]), "give the kernel " + opencl_kernel.name + " its argument " + std::to_string(i));
    }
    const size_t all = static_cast<size_t>(groups * threads), group = static_cast<size_t>(threads);
    check(functions().launch(queue_, opencl_kernel.id, 1, nullptr, &all, &group, 0, nullptr, nullptr), "launch the kernel " + opencl_kernel.name);
  }
  void finish() override { check(functions().finish(queue_), "finish its work"); }

 private:
  [[noreturn]] void refuse(int64_t bytes) const { throw OutOfMemory(not_enough_memory(*this, bytes)); }
  static Buffer buffer_of(const Memory& memory) { return static_cast<const OpenclMemory&>(memory).buffer; }
  static Status set(KernelId kernel, uint32_t i, const Argument& argument) {
    if (argument.size > 0) return functions().set_argument(kernel, i, argument.size, argument.number);
    if (argument.memory == nullptr) return functions().set_argument(kernel, i, sizeof(Buffer), nullptr);
    const auto buffer = buffer_of(*argument.memory);
    return functions().set_argument(kernel, i, sizeof buffer, &buffer);
  }
  Status build(const OpenclProgram& program, const std::string& options) const {
    return functions().build(program.id(), 1, &place_.device, options.c_str(), nullptr, nullptr);
  }
  std::unique_ptr<OpenclProgram> make_program(const std::string& text) const {
    const char* texts = text.c_str();
    Status status;
    auto program = std::make_unique<OpenclProgram>(functions().create_from_source(context_, 1, &texts, nullptr, &status));
    check(status, "make a program");
    return program;
  }
  std::unique_ptr<OpenclProgram> from_text(const std::string& text) const {
    auto program = make_program(text);
    const auto status = build(*program, build_options);
    if (status == success) return program;
    throw Error("the kernels do not compile on " + description() + ": " + first_words(log_of(program->id())) + " (" + in_words(status) + ")");
  }
  /// Null where the driver does not take it.
  std::unique_ptr<OpenclProgram> from_binary(const std::string& binary) const {
    if (binary.empty()) return nullptr;
    const auto* bytes = reinterpret_cast<const unsigned char*>(binary.data());
    const size_t size = binary.size();
    Status status, of_binary;
    auto program = std::make_unique<OpenclProgram>(functions().create_from_binary(context_, 1, &place_.device, &size, &bytes, &of_binary, &status));
    const bool fits = status == success && of_binary == success && build(*program, build_options) == success;
    return fits ? std::move(program) : nullptr;
  }
  std::string log_of(ProgramId program) const {
    size_t size = 0;
    if (functions().get_build(program, place_.device, build_log, 0, nullptr, &size) != success) return "";
    std::string log(size, '\0');
    functions().get_build(program, place_.device, build_log, size, log.data(), nullptr);
    return log.substr(0, log.find('\0'));
  }

  Place place_;
  int index_;
  Context context_ = nullptr;
  Queue queue_ = nullptr;
  int64_t allocated_ = 0;
};

}  // namespace

std::unique_ptr<Device> open_opencl_device(int index, int process) {
  const auto [place, found] = find_place(index, process);
  return std::make_unique<OpenclDevice>(place, found);
}

std::string opencl_complaints(int index, const std::string& source) {
  const auto [place, found] = find_place(index, 0);
  return OpenclDevice(place, found).complaints(source);
}

}  // namespace spinconv::gpu
