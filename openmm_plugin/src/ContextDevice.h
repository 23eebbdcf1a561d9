// The device of a Context, as our kernels see one (spinconv/device.h): memory, programs and launches by OpenMM's interface, in the order of its queue.
//
// OpenMM's CUDA compiles with --use_fast_math: float32 there has the last bit or two less than on a device of our own. Its HIP compiles with -ffast-math, by which
// positions that are no number may go unnoticed until forces are. Its launches have a limited number of groups, which take turns.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/common/ComputeContext.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine_context.h"
#include "spinconv/device.h"

namespace spinconv {

class ContextDevice : public gpu::Device {
 public:
  /// The Context must outlive it, and all that is made of it.
  explicit ContextDevice(const EngineContext& engine);

  std::string name() const override { return engine_.device; }
  std::string description() const override { return engine_.name_of_device + ", platform " + engine_.platform + " of OpenMM"; }
  bool has_double() const override { return context_.getSupportsDoublePrecision(); }
  // OpenMM does not tell how much memory there is.
  int64_t free_memory() const override { return unknown; }
  int64_t largest_memory() const override { return unknown; }
  int64_t shared_memory() const override;
  int64_t most_threads() const override { return context_.getMaxThreadBlockSize(); }

  std::unique_ptr<gpu::Memory> allocate(int64_t bytes) override;
  void write(gpu::Memory& to, int64_t offset, const void* from, int64_t bytes) override;
  void read(const gpu::Memory& from, int64_t offset, void* to, int64_t bytes) override;
  void clear(gpu::Memory& memory, int64_t offset, int64_t bytes) override;
  std::unique_ptr<gpu::Program> compile(const std::string& source) override;
  void launch(gpu::Kernel& kernel, int64_t groups, int64_t threads, const std::vector<gpu::Argument>& arguments) override;
  void finish() override;

  /// An array of OpenMM's, as an argument of kernels.
  std::unique_ptr<gpu::Memory> memory_of(OpenMM::ArrayInterface& array) const;
  /// What has gone to the host so far.
  int64_t bytes_read() const { return bytes_read_; }

 private:
  static constexpr int64_t unknown = int64_t(1) << 40;
  void launch_by_word(const char* name, int64_t bytes, std::vector<gpu::Argument> arguments);

  EngineContext engine_;
  OpenMM::ComputeContext& context_;
  int64_t bytes_read_ = 0;
  std::unique_ptr<gpu::Program> program_;       // clears and copies
  std::unique_ptr<gpu::Memory> word_;           // to wait for
  std::map<int64_t, std::unique_ptr<gpu::Memory>> parts_;   // by their bytes: what small parts of memory are copied to, to be read
};

}  // namespace spinconv
