// The evaluator by torch, whole: what libspinconv_torch.so shows.
// SPDX-License-Identifier: MIT
#include "torch_library.h"

#include "at_once.h"
#include "evaluation.h"
#include "plain_torch.h"

#include "spinconv/torch_version.h"

#include <torch/cuda.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>
#include <torch/script.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <sstream>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace spinconv {
namespace {

/// What torch says at length, as one sentence. The reason stands in the first line of a plain error, and after a Python-like
/// traceback ("... in the TorchScript interpreter") in the last.
std::string sentence(const std::string& text) {
  std::istringstream lines(text);
  std::string first, last, line;
  while (std::getline(lines, line)) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) continue;
    last = line.substr(begin);
    if (first.empty()) first = last;
  }
  const bool is_traceback = text.find("Traceback of TorchScript") != std::string::npos;
  const std::string& reason = is_traceback ? last : first;
  return reason.substr(0, reason.find(". "));
}

/// Whether what torch says means that there is no memory left. Its CPU allocator has no error of its own for that.
bool is_out_of_memory(const std::string& text) {
  return text.find("out of memory") != std::string::npos || text.find("can't allocate memory") != std::string::npos;
}

/// "torch tried to allocate 123 bytes more", as far as it says that.
std::string memory_sentence(const std::string& text) {
  const std::string words = "ried to allocate ";
  const auto begin = text.find(words);
  if (begin == std::string::npos) return "not enough memory";
  std::istringstream rest(text.substr(begin + words.size()));   // "123 bytes. Error code 12 ..." or "2.00 GiB. GPU 0 has ..."
  std::string amount, unit;
  rest >> amount >> unit;
  return "not enough memory, torch tried to allocate " + amount + " " + unit.substr(0, unit.find('.')) + " more";
}

/// Runs `step`; what torch throws, which a process without it does not know, leaves as an exception of the standard library.
template <class Step>
void without_torch_errors(Step&& step) {
  const auto in_a_sentence = [](const std::string& text) {
    if (is_out_of_memory(text)) throw OutOfMemory(memory_sentence(text));
    throw std::runtime_error(sentence(text));
  };
  try {
    step();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const c10::Error& error) {
    in_a_sentence(error.what_without_backtrace());
  } catch (const std::exception& error) {
    in_a_sentence(error.what());
  }
}

/// A name of Options::device.
c10::Device parse_device(const std::string& name, int process_on_node) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const int n_devices = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (n_devices == 0 && name == "auto") return c10::Device(c10::kCPU);
  if (n_devices == 0) throw Error("`device` is " + name + ", but this torch finds no CUDA device; use cpu");
  const int index = name.rfind("cuda:", 0) == 0 ? std::stoi(name.substr(5)) : process_on_node % n_devices;
  if (index >= n_devices) {
    throw Error("`device` is " + name + ", but there are only " + std::to_string(n_devices) + " CUDA devices, counted from 0");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

Equations make_equations(const Container& container, const std::string& name, const Stages& stages) {
  try {
    return Equations(container.metadata, container.tensors, stages.device, stages.dtype);
  } catch (const Error& error) {
    throw Error(name + " " + error.what());
  }
}

/// Tells glibc to keep large freed blocks in the process: mapped anew at every step, they cost more than the model (docs/performance.md).
void keep_freed_memory() {
#ifdef __GLIBC__
  static const bool kept = mallopt(M_MMAP_MAX, 0) != 0 && mallopt(M_TRIM_THRESHOLD, -1) != 0;
  (void)kept;
#endif
}

/// Torch's threads are one number for the thread that asks: the engine's own is put back.
class UseThreads {
 public:
  explicit UseThreads(int wanted) : before_(at::get_num_threads()), differs_(wanted > 0 && wanted != before_) {
    if (differs_) at::set_num_threads(wanted);
  }
  ~UseThreads() {
    if (differs_) at::set_num_threads(before_);
  }
  UseThreads(const UseThreads&) = delete;
  UseThreads& operator=(const UseThreads&) = delete;

 private:
  int before_;
  bool differs_;
};

class TorchEvaluator : public Evaluator {
 public:
  TorchEvaluator(const Container& container, const std::string& name, const Options& options, const std::string& dtype)
      : threads_(options.threads), direct_forces_(container.metadata.info.direct_forces) {
    const PlainTorch plain;   // weights read in inference mode could not be differentiated through later
    stages_.device = parse_device(options.device, options.process_on_node);
    stages_.dtype = dtype == "float32" ? torch::kFloat32 : torch::kFloat64;
    stages_.equations = make_equations(container, name, stages_);
    try {
      prepare(container.metadata.info);
    } catch (const Error& error) {
      throw Error(name + " is damaged: " + error.what());
    }
  }

  std::string name() const override { return "torch"; }
  std::string device() const override { return stages_.device.str(); }
  bool has_stages() const override { return has_stages_; }
  int64_t n_moments() const override { return std::max(stages_.n_moments, stages_.n_sums); }

  void evaluate(const Graph& graph, const Request& request, Result& result) override {
    const UseThreads use(threads_);
    without_torch_errors([&] {
      if (has_stages_) {
        evaluate_by_stages(stages_, graph, request, result);
      } else {
        evaluate_at_once(stages_, graph, request, direct_forces_, result);
      }
    });
  }

 private:
  /// What the equations of its kind can do is asked of them; what the file wants of them must be there.
  void prepare(const ModelInfo& info) {
    has_stages_ = stages_.equations.has("moments") && !info.direct_forces;
    if (info.direct_forces && !stages_.equations.has("forces")) throw Error("`forces` must be gradient, models of kind `" + info.kind + "` have no direct ones");
    if (!has_stages_) return try_at_once(stages_, info.elements.front(), info.direct_forces);
    if (info.n_blocks == 0) throw Error("`model.n_blocks` is missing");
    stages_.n_blocks = info.n_blocks;
    measure(stages_, info.elements.front());
  }

  int threads_;
  bool direct_forces_;
  bool has_stages_ = false;
  Stages stages_;
};

}  // namespace
}  // namespace spinconv

/// See MakeTorchEvaluator.
extern "C" __attribute__((visibility("default"))) spinconv::Evaluator* spinconv_make_torch_evaluator_1(
    const spinconv::Container& container, const std::string& name, const spinconv::Options& options, const std::string& dtype) {
  using namespace spinconv;
  if (const auto problem = torch_problem(TORCH_ABI_VERSION, aoti_torch_abi_version()); !problem.empty()) throw Error(problem);
  keep_freed_memory();
  Evaluator* made = nullptr;
  without_torch_errors([&] { made = new TorchEvaluator(container, name, options, dtype); });
  return made;
}
