// SPDX-License-Identifier: MIT
#include "choice.h"

#include "spinconv/device.h"
#include "gpu/evaluator.h"
#include "native/evaluator.h"
#include "torch_library.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace spinconv {
namespace {

constexpr int most_threads = 256;   // on a machine with fewer processors; threads that cannot be made end the process

constexpr const char* devices = "auto, cpu, cuda, cuda:<index>, opencl or opencl:<index>";

/// "cuda" or "cuda:<index>", say.
bool is_of(const std::string& device, const std::string& family) {
  if (device == family) return true;
  const auto index = device.substr(std::min(device.size(), family.size() + 1));
  return device.rfind(family + ":", 0) == 0 && !index.empty() && index.size() < 4 && index.find_first_not_of("0123456789") == std::string::npos;
}

bool is_device(const std::string& name) { return name == "auto" || name == "cpu" || is_of(name, "cuda") || is_of(name, "opencl"); }

int most_threads_here() { return std::max(most_threads, static_cast<int>(std::thread::hardware_concurrency())); }

/// OMP_NUM_THREADS, or as many as there are processors for this process.
int usual_threads() {
  const char* said = std::getenv("OMP_NUM_THREADS");
  if (const int wanted = said == nullptr ? 0 : std::atoi(said); wanted > 0) return std::min(wanted, most_threads_here());
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// The native evaluator; null where there is none for this model or this processor.
std::unique_ptr<Evaluator> make_native(const Container& container, const std::string& name, const Options& options, const std::string& dtype) {
  const auto refuse = [&](const std::string& why) { throw Error(name + " is damaged: " + why); };
  std::unique_ptr<Evaluator> evaluator;
  try {
    evaluator = native::make_evaluator(container, dtype, options.threads > 0 ? options.threads : usual_threads());
  } catch (const Error& error) {
    refuse(error.what());
  }
  const auto& info = container.metadata.info;
  if (evaluator && info.direct_forces) refuse("`forces` must be gradient, models of kind `" + info.kind + "` have no direct ones");
  return evaluator;
}

std::unique_ptr<Evaluator> make_torch(const Container& container, const std::string& name, const Options& options, const std::string& dtype, const std::string& why) {
  MakeTorchEvaluator make;
  try {
    make = load_torch_library();
  } catch (const Error& error) {
    throw Error(why + " needs torch, which " + error.what());
  }
  return std::unique_ptr<Evaluator>(make(container, name, options, dtype));
}

/// By kernels of our own on a GPU, or whatever else OpenCL has. NotNative for models that they are not for.
std::unique_ptr<Evaluator> make_kernels(const Container& container, const std::string& name, const Options& options, const std::string& device, const std::string& dtype) {
  if (options.engine_device) {
    if (auto evaluator = gpu::make_evaluator(container, dtype, options.engine_device)) return evaluator;
  } else if (auto evaluator = gpu::make_evaluator(container, dtype, device, options.process_on_node)) {
    return evaluator;
  }
  const auto where = options.engine_device ? "computing on the engine's device" : "`device` " + device + " without torch";
  throw NotNative(where + " is for harmonic models of `lmax` 4 at most, " + name + " is none");
}

/// On CUDA by torch, which has been tried there, or by kernels of our own where it cannot be had; Error with what is missing of both.
std::unique_ptr<Evaluator> make_on_cuda(const Container& container, const std::string& name, const Options& options, const std::string& dtype) {
  std::string why;
  try {
    return make_torch(container, name, options, dtype, "`device` " + options.device);
  } catch (const Error& error) {
    why = error.what();
  }
  try {
    return make_kernels(container, name, options, options.device, dtype);
  } catch (const Error& error) {
    throw Error(why + "; and without it: " + error.what());
  }
}

/// On a machine with a GPU, where it would compute; torch alone knows whether it can.
std::unique_ptr<Evaluator> make_on_gpu(const Container& container, const std::string& name, const Options& options, const std::string& dtype) {
  if (!has_gpu()) return nullptr;
  std::unique_ptr<Evaluator> evaluator;
  try {
    evaluator = make_torch(container, name, options, dtype, "");
  } catch (const std::exception&) {
    return nullptr;   // what is wrong with the file will be said by who reads it next
  }
  return evaluator->device() == "cpu" ? nullptr : std::move(evaluator);
}

}  // namespace

void check_options(const Options& options) {
  if (!is_device(options.device)) throw Error(std::string("`device` must be ") + devices + ", got " + options.device);
  if (const auto& name = options.dtype; name != "" && name != "float32" && name != "float64") throw Error("`dtype` must be float32 or float64, got " + name);
  if (const auto& name = options.evaluator; name != "" && name != "native" && name != "torch") throw Error("`evaluator` must be native or torch, got " + name);
  if (options.threads < 0 || options.threads > most_threads_here()) {
    throw Error("`threads` must be 0 (OMP_NUM_THREADS, or all processors) to " + std::to_string(most_threads_here()) + ", got " + std::to_string(options.threads));
  }
}

std::unique_ptr<Evaluator> choose_evaluator(const Container& container, const std::string& name, const Options& options, const std::string& dtype) {
  try {
    check_weights_fit(container);
  } catch (const Error& error) {
    throw Error(name + " is damaged: " + error.what());
  }
  const auto& device = options.device;
  if (options.evaluator == "torch") {
    if (is_of(device, "opencl")) throw Error("`evaluator torch` knows no OpenCL, got `device` " + device + "; leave it out, or use cuda");
    return make_torch(container, name, options, dtype, "`evaluator torch`");
  }
  if (options.engine_device || is_of(device, "opencl") || (is_of(device, "cuda") && options.evaluator == "native")) return make_kernels(container, name, options, device, dtype);
  if (is_of(device, "cuda")) return make_on_cuda(container, name, options, dtype);
  if (device == "auto" && options.evaluator.empty())
    if (auto evaluator = make_on_gpu(container, name, options, dtype)) return evaluator;
  if (auto evaluator = make_native(container, name, options, dtype)) return evaluator;
  const std::string what = "harmonic models of `lmax` 4 at most, on processors with AVX2 and FMA (x86-64-v3)";
  if (options.evaluator == "native") throw NotNative("`evaluator native` is for " + what + "; use `evaluator torch`");
  return make_torch(container, name, options, dtype, name + " is no case for the native evaluator (" + what + ") and");
}

bool has_gpu() { return !gpu::cuda_devices().empty(); }

}  // namespace spinconv
