// SPDX-License-Identifier: MIT
#include "ContextDevice.h"

#include <openmm/OpenMMException.h>
#include <openmm/common/ContextSelector.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <stdexcept>

#include "context_kernels.h"
#include "spinconv/model.h"

namespace spinconv {
namespace {

using OpenMM::ContextSelector;
using OpenMM::OpenMMException;

constexpr int64_t word = 4;                       // bytes of an array's element
constexpr int64_t small = 1024;                   // bytes of a part that is read often: sizes, flags, a sum
constexpr int64_t most_bytes = std::numeric_limits<int32_t>::max() / word * word;   // that OpenMM writes to a part of an array, which it counts in an int
constexpr int64_t most_threads_at_once = int64_t(1) << 30;                          // for the same reason
constexpr int64_t threads_by_word = 128;
constexpr size_t most_characters = 600;

std::string in_one_line(std::string words) {
  std::replace_if(words.begin(), words.end(), [](unsigned char c) { return c < ' '; }, ' ');
  return words.substr(0, most_characters);
}

int64_t words_of(int64_t bytes) {
  if (bytes % word != 0) throw std::logic_error("memory of a Context is moved by four bytes, " + std::to_string(bytes) + " are no multiple of it");
  return bytes / word;
}

class ContextMemory : public gpu::Memory {
 public:
  ContextMemory(OpenMM::ArrayInterface& array, int64_t size) : array(&array) { bytes = size; }
  ContextMemory(std::unique_ptr<OpenMM::ArrayInterface> owned, int64_t size) : array(owned.get()), owned_(std::move(owned)) { bytes = size; }

  int64_t whole() const { return static_cast<int64_t>(array->getSize()) * array->getElementSize(); }

  OpenMM::ArrayInterface* const array;

 private:
  std::unique_ptr<OpenMM::ArrayInterface> owned_;
};

OpenMM::ArrayInterface& array_of(const gpu::Memory& memory) { return *static_cast<const ContextMemory&>(memory).array; }

/// OpenMM's OpenCL remembers an array as an argument even after a null pointer was set in its place: each pattern of null pointers has a kernel of its own.
class ContextKernel : public gpu::Kernel {
 public:
  ContextKernel(OpenMM::ComputeProgram program, const std::string& name) : program_(std::move(program)), name_(name) { variant({}); }

  OpenMM::ComputeKernelImpl& with(const std::vector<gpu::Argument>& arguments) {
    auto& kernel = variant(arguments);
    for (size_t i = 0; i < arguments.size(); ++i) set(kernel, static_cast<int>(i), arguments[i]);
    return kernel;
  }

 private:
  static bool is_null(const gpu::Argument& argument) { return argument.size == 0 && argument.memory == nullptr; }

  OpenMM::ComputeKernelImpl& variant(const std::vector<gpu::Argument>& arguments) {
    std::vector<bool> nulls;
    for (const auto& argument : arguments) nulls.push_back(is_null(argument));
    auto& kernel = variants_[nulls];
    if (kernel == nullptr) {
      kernel = program_->createKernel(name_);
      for (size_t i = 0; i < nulls.size(); ++i) kernel->addArg();
    }
    return *kernel;
  }

  template <class Number>
  static Number number_in(const gpu::Argument& argument) {
    Number number;
    std::memcpy(&number, argument.number, sizeof number);
    return number;
  }

  static void set(OpenMM::ComputeKernelImpl& kernel, int i, const gpu::Argument& argument) {
    if (argument.size == sizeof(int32_t)) kernel.setArg(i, number_in<int32_t>(argument));
    else if (argument.size == sizeof(int64_t)) kernel.setArg(i, number_in<int64_t>(argument));
    else if (argument.memory == nullptr) kernel.setArg(i, static_cast<void*>(nullptr));
    else kernel.setArg(i, array_of(*argument.memory));
  }

  OpenMM::ComputeProgram program_;
  std::string name_;
  std::map<std::vector<bool>, OpenMM::ComputeKernel> variants_;
};

class ContextProgram : public gpu::Program {
 public:
  ContextProgram(OpenMM::ComputeContext& context, OpenMM::ComputeProgram program) : context_(context), program_(std::move(program)) {}

  gpu::Kernel& kernel(const std::string& name) override {
    auto& kernel = kernels_[name];
    if (!kernel) {
      try {
        const ContextSelector selector(context_);
        kernel = std::make_unique<ContextKernel>(program_, name);
      } catch (const std::exception& error) {
        throw Error("OpenMM cannot find the kernel " + name + ": " + in_one_line(error.what()));
      }
    }
    return *kernel;
  }

 private:
  OpenMM::ComputeContext& context_;
  OpenMM::ComputeProgram program_;
  std::map<std::string, std::unique_ptr<ContextKernel>> kernels_;
};

}  // namespace

ContextDevice::ContextDevice(const EngineContext& engine) : engine_(engine), context_(*engine.context) {
  program_ = compile(memory_page);
  word_ = allocate(word);
}

/// OpenMM tells for how many threads, in steps of 64, there is shared memory; its OpenCL counts on half of it. Devices have whole kilobytes.
int64_t ContextDevice::shared_memory() const {
  const double byte = engine_.platform == "OpenCL" ? 0.5 : 1.0;
  return (context_.computeThreadBlockSize(byte) + 64) / 1024 * 1024;
}

std::unique_ptr<gpu::Memory> ContextDevice::allocate(int64_t bytes) {
  const ContextSelector selector(context_);
  std::unique_ptr<OpenMM::ArrayInterface> array(context_.createArray());
  try {
    array->initialize(context_, static_cast<size_t>(std::max<int64_t>(1, (bytes + word - 1) / word)), word, "SpinConvForce");
  } catch (const OpenMMException& error) {
    const auto megabytes = std::to_string((bytes + 999999) / 1000000) + " MB";
    throw Error("not enough memory, " + megabytes + " were asked for on " + name() + " (" + description() + "): " + in_one_line(error.what()));
  }
  return std::make_unique<ContextMemory>(std::move(array), bytes);
}

std::unique_ptr<gpu::Memory> ContextDevice::memory_of(OpenMM::ArrayInterface& array) const {
  return std::make_unique<ContextMemory>(array, static_cast<int64_t>(array.getSize()) * array.getElementSize());
}

void ContextDevice::write(gpu::Memory& to, int64_t offset, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  const ContextSelector selector(context_);
  if (offset + bytes <= most_bytes) {
    array_of(to).uploadSubArray(from, static_cast<int>(words_of(offset)), static_cast<int>(words_of(bytes)), true);
    return;
  }
  auto part = allocate(bytes);
  array_of(*part).upload(from, true);
  launch_by_word("copy_words", bytes, {int64_t(0), part, words_of(offset), &to});
  finish();   // before the part is freed
}

/// OpenMM reads whole arrays alone: a part of one is copied to an array first.
void ContextDevice::read(const gpu::Memory& from, int64_t offset, void* to, int64_t bytes) {
  if (bytes == 0) return;
  const ContextSelector selector(context_);
  bytes_read_ += bytes;
  if (offset == 0 && bytes == static_cast<const ContextMemory&>(from).whole()) {
    array_of(from).download(to, true);
    return;
  }
  std::unique_ptr<gpu::Memory> large;
  auto& part = bytes <= small ? parts_[bytes] : large;
  if (!part) part = allocate(bytes);
  launch_by_word("copy_words", bytes, {words_of(offset), &from, int64_t(0), part});
  array_of(*part).download(to, true);
}

void ContextDevice::clear(gpu::Memory& memory, int64_t offset, int64_t bytes) { launch_by_word("clear_words", bytes, {words_of(offset), &memory}); }

std::unique_ptr<gpu::Program> ContextDevice::compile(const std::string& source) {
  const ContextSelector selector(context_);
  try {
    return std::make_unique<ContextProgram>(context_, context_.compileProgram(gpu::whole_text(source, true)));
  } catch (const OpenMMException& error) {
    throw Error("the kernels do not compile on " + description() + ": " + in_one_line(error.what()));
  }
}

void ContextDevice::launch(gpu::Kernel& kernel, int64_t groups, int64_t threads, const std::vector<gpu::Argument>& arguments) {
  if (groups == 0) return;
  const ContextSelector selector(context_);
  auto all = arguments;
  all.push_back(static_cast<int32_t>(groups));
  const int64_t at_once = std::min(groups, most_threads_at_once / threads);
  static_cast<ContextKernel&>(kernel).with(all).execute(static_cast<int>(at_once * threads), static_cast<int>(threads));
}

void ContextDevice::launch_by_word(const char* name, int64_t bytes, std::vector<gpu::Argument> arguments) {
  const int64_t n = words_of(bytes);
  arguments.insert(arguments.begin(), gpu::Argument(n));
  launch(program_->kernel(name), (n + threads_by_word - 1) / threads_by_word, threads_by_word, arguments);
}

/// By reading a word, which waits.
void ContextDevice::finish() {
  const ContextSelector selector(context_);
  int32_t nothing;
  array_of(*word_).download(&nothing, true);
}

}  // namespace spinconv
