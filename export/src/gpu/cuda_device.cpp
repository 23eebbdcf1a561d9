// SPDX-License-Identifier: MIT
#include "compilation.h"
#include "cuda_places.h"
#include "spinconv/device.h"
#include "kernel_cache.h"
#include "not_enough_memory.h"
#include "nvrtc.h"

#include "../evaluator.h"

#include <algorithm>
#include <map>
#include <utility>

namespace spinconv::gpu {
namespace {

using namespace cuda;

constexpr size_t most_log = 4096;   // of the driver's own compiler
constexpr int64_t most_groups = 0x7fffffff;

void check(Status status, const std::string& what) {
  if (status == success) return;
  const auto text = "CUDA cannot " + what + ": " + in_words(status);
  if (status == out_of_memory) throw OutOfMemory("not enough memory, " + text);
  throw Error(text);
}

/// The device's context, which torch's and OpenMM's work shares, is the thread's for as long as this lives; then what was before.
class Current {
 public:
  explicit Current(Context context) { check(functions().push(context), "use its context"); }
  ~Current() {
    Context popped = nullptr;
    functions().pop(&popped);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
};

/// The same where nothing may be thrown, before what is freed.
template <class Release>
void release_in(Context context, Release release) {
  if (functions().push(context) != success) return;   // the process ends, and the driver has gone before
  release();
  Context popped = nullptr;
  functions().pop(&popped);
}

class CudaMemory : public Memory {
 public:
  CudaMemory(Pointer pointer, int64_t size, Context context) : pointer(pointer), context_(context) { bytes = size; }
  ~CudaMemory() override {
    release_in(context_, [&] { functions().free(pointer); });
  }

  const Pointer pointer;

 private:
  Context context_;
};

class CudaHostMemory : public HostMemory {
 public:
  CudaHostMemory(void* pointer, Context context) : context_(context) { data = pointer; }
  ~CudaHostMemory() override {
    release_in(context_, [&] { functions().free_host(data); });
  }

 private:
  Context context_;
};

class CudaKernel : public Kernel {
 public:
  CudaKernel(Function function, const std::string& name) : function(function), name(name) {}

  const Function function;
  const std::string name;
};

class CudaProgram : public Program {
 public:
  CudaProgram(Module module, Context context) : module_(module), context_(context) {}
  ~CudaProgram() override {
    release_in(context_, [&] { functions().unload(module_); });
  }

  Kernel& kernel(const std::string& name) override {
    auto& kernel = kernels_[name];
    if (!kernel) {
      const Current current(context_);
      Function function = nullptr;
      check(functions().get_function(&function, module_, name.c_str()), "find the kernel " + name);
      kernel = std::make_unique<CudaKernel>(function, name);
    }
    return *kernel;
  }

 private:
  Module module_;
  Context context_;
  std::map<std::string, std::unique_ptr<CudaKernel>> kernels_;
};

Nvrtc load_compiler(const std::string& name) {
  const int newest = version() / 1000;
  try {
    return Nvrtc(places_of_nvrtc(newest));
  } catch (const Error& error) {
    throw Error("`device` is " + name + ", but " + error.what() + "; install it: " + how_to_get_nvrtc(newest));
  }
}

class CudaDevice : public Device {
 public:
  CudaDevice(const Place& place, int index) : place_(place), index_(index), compiler_(load_compiler(CudaDevice::name())) {
    check(functions().retain_context(&context_, place_.device), "open " + CudaDevice::description());
    Status status = functions().push(context_);
    if (status == success) {
      status = functions().create_stream(&stream_, non_blocking);
      Context popped = nullptr;
      functions().pop(&popped);
    }
    if (status != success) functions().release_context(place_.device);
    check(status, "make a stream on " + CudaDevice::description());
  }
  ~CudaDevice() override {
    release_in(context_, [&] {
      functions().synchronize(stream_);
      functions().destroy_stream(stream_);
    });
    functions().release_context(place_.device);
  }

  std::string name() const override { return "cuda:" + std::to_string(index_); }
  std::string description() const override { return place_.description(); }
  bool has_double() const override { return true; }
  int64_t free_memory() const override {
    const Current current(context_);
    size_t free = 0, all = 0;
    return functions().get_free_memory(&free, &all) == success ? static_cast<int64_t>(free) : 0;
  }
  int64_t largest_memory() const override { return place_.memory(); }
  int64_t shared_memory() const override { return place_.attribute(attribute_shared_memory); }
  int64_t most_threads() const override { return place_.attribute(attribute_threads); }

  std::unique_ptr<Memory> allocate(int64_t bytes) override {
    const Current current(context_);
    Pointer pointer = 0;
    const auto status = functions().allocate(&pointer, static_cast<size_t>(std::max<int64_t>(bytes, 1)));   // CUDA has no empty memory
    if (status == out_of_memory) throw OutOfMemory(not_enough_memory(*this, bytes));
    check(status, "allocate memory");
    return std::make_unique<CudaMemory>(pointer, bytes, context_);
  }

  std::unique_ptr<HostMemory> allocate_host(int64_t bytes) override {
    const Current current(context_);
    void* pointer = nullptr;
    if (functions().allocate_host(&pointer, static_cast<size_t>(std::max<int64_t>(bytes, 1)), 0) != success) return Device::allocate_host(bytes);
    return std::make_unique<CudaHostMemory>(pointer, context_);
  }

  void write(Memory& to, int64_t offset, const void* from, int64_t bytes) override {
    if (bytes == 0) return;
    const Current current(context_);
    check(functions().write(pointer_of(to) + static_cast<Pointer>(offset), from, static_cast<size_t>(bytes), stream_), "write to memory");
    check(functions().synchronize(stream_), "write to memory");
  }
  void read(const Memory& from, int64_t offset, void* to, int64_t bytes) override {
    if (bytes == 0) return finish();
    const Current current(context_);
    check(functions().read(to, pointer_of(from) + static_cast<Pointer>(offset), static_cast<size_t>(bytes), stream_), "read from memory");
    check(functions().synchronize(stream_), "do what was launched before memory is read");
  }
  void clear(Memory& memory, int64_t offset, int64_t bytes) override {
    if (bytes == 0) return;
    const Current current(context_);
    check(functions().fill(pointer_of(memory) + static_cast<Pointer>(offset), 0, static_cast<size_t>(bytes), stream_), "clear memory");
  }

  std::unique_ptr<Program> compile(const std::string& source) override {
    const auto text = whole_text(source), target = target_of(compiler_.architectures());
    std::vector<std::string> decisive = {description(), compiler_.name(), target, text};
    decisive.insert(decisive.end(), Nvrtc::options().begin(), Nvrtc::options().end());
    const auto name = kernel_name(decisive);
    std::string problem;
    if (const auto kept = kept_kernel(name); !kept.empty())
      if (auto program = load(kept, problem)) return program;
    const auto compiled = compiler_.compile(text, target);
    if (compiled.binary.empty()) throw Error("the kernels do not compile for " + target + " by " + compiler_.name() + ": " + first_words(compiled.log));
    auto program = load(compiled.binary, problem);
    if (!program) throw Error(description() + " does not take the kernels that " + compiler_.name() + " compiled for " + target + ": " + problem);
    keep_kernel(name, compiled.binary);
    return program;
  }

  void launch(Kernel& kernel, int64_t groups, int64_t threads, const std::vector<Argument>& arguments) override {
    const auto& cuda_kernel = static_cast<CudaKernel&>(kernel);
    if (groups == 0) return;
    if (groups > most_groups) {
      throw Error("the kernel " + cuda_kernel.name + " must have at most " + std::to_string(most_groups) + " groups, got " + std::to_string(groups));
    }
    const Current current(context_);
    point_at(arguments);
    const auto n_groups = static_cast<unsigned>(groups), n_threads = static_cast<unsigned>(threads);
    check(functions().launch(cuda_kernel.function, n_groups, 1, 1, n_threads, 1, 1, 0, stream_, addresses_.data(), nullptr),
          "launch the kernel " + cuda_kernel.name);
  }
  void finish() override {
    const Current current(context_);
    check(functions().synchronize(stream_), "do what was launched");
  }

 private:
  static Pointer pointer_of(const Memory& memory) { return static_cast<const CudaMemory&>(memory).pointer; }

  /// Machine code where the compiler knows the device, else what the driver compiles further: of the newest architecture before it.
  std::string target_of(const std::vector<int>& known) const {
    const int here = place_.architecture();
    if (std::binary_search(known.begin(), known.end(), here)) return "sm_" + std::to_string(here);
    const auto later = std::upper_bound(known.begin(), known.end(), here);
    if (later == known.begin()) {
      throw Error(description() + " is sm_" + std::to_string(here) + ", too old for " + compiler_.name() + "; install one that knows it: " +
                  how_to_get_nvrtc(12));
    }
    return "compute_" + std::to_string(*(later - 1));
  }

  /// Null where the driver does not take it; `problem` says why.
  std::unique_ptr<Program> load(const std::string& binary, std::string& problem) const {
    const Current current(context_);
    std::string log(most_log, '\0');
    int options[] = {jit_error_log, jit_error_log_size};
    void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
    Module module = nullptr;
    const auto status = functions().load(&module, binary.data(), 2, options, values);
    if (status == success) return std::make_unique<CudaProgram>(module, context_);
    log.resize(log.find('\0') == std::string::npos ? log.size() : log.find('\0'));
    problem = in_words(status) + (log.empty() ? "" : ": " + first_words(log));
    return nullptr;
  }

  /// Addresses of arguments, as the driver wants them; the vectors are kept from launch to launch.
  void point_at(const std::vector<Argument>& arguments) {
    pointers_.resize(arguments.size());
    addresses_.resize(arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i) {
      const auto& argument = arguments[i];
      pointers_[i] = argument.memory == nullptr ? 0 : pointer_of(*argument.memory);
      addresses_[i] = argument.size > 0 ? const_cast<unsigned char*>(argument.number) : static_cast<void*>(&pointers_[i]);
    }
  }

  Place place_;
  int index_;
  Nvrtc compiler_;
  Context context_ = nullptr;
  Stream stream_ = nullptr;
  std::vector<Pointer> pointers_;
  std::vector<void*> addresses_;
};

}  // namespace

std::unique_ptr<Device> open_cuda_device(int index, int process) {
  const auto [place, found] = find_place(index, process);
  return std::make_unique<CudaDevice>(place, found);
}

}  // namespace spinconv::gpu
