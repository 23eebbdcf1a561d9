// Reads model.pt, and answers for it. What knows torch is here and in evaluation.cpp.
// SPDX-License-Identifier: MIT
#include "spinconv/model.h"

#include "at_once.h"
#include "container.h"
#include "evaluation.h"
#include "native/buffer.h"
#include "native/evaluator.h"
#include "plain_torch.h"
#include "python_lock.h"

#include "spinconv/elements.h"
#include "spinconv/torch_version.h"

#include <torch/cuda.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>
#include <torch/script.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <new>
#include <sstream>
#include <thread>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace spinconv {
namespace {

constexpr int most_threads = 256;   // on a machine with fewer processors; threads that cannot be made end the process

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

/// Memory that could not be had.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Runs `step`; whatever torch throws leaves as an Error that begins with `failure`.
template <class Step>
auto in_words(const std::string& failure, Step&& step) -> decltype(step()) {
  try {
    return step();
  } catch (const Error&) {
    throw;
  } catch (const native::NotEnough& error) {
    throw OutOfMemory(failure + ": not enough memory, " + std::to_string(error.bytes) + " bytes more could not be had");
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(failure + ": not enough memory");
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (is_out_of_memory(text)) throw OutOfMemory(failure + ": " + memory_sentence(text));
    throw Error(failure + ": " + sentence(text));
  } catch (const std::exception& error) {
    const std::string text = error.what();
    if (is_out_of_memory(text)) throw OutOfMemory(failure + ": " + memory_sentence(text));
    throw Error(failure + ": " + sentence(text));
  }
}

// ---- the requests of the caller

c10::Device parse_device(const std::string& name, int process_on_node) {
  const bool has_index = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                         name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "auto" && name != "cpu" && name != "cuda" && !has_index) {
    throw Error("`device` must be auto, cpu, cuda or cuda:<index>, got " + name);
  }
  if (name == "cpu") return c10::Device(c10::kCPU);
  const int n_devices = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (n_devices == 0 && name == "auto") return c10::Device(c10::kCPU);
  if (n_devices == 0) throw Error("`device` is " + name + ", but this torch finds no CUDA device; use cpu");
  const int index = has_index ? std::stoi(name.substr(5)) : process_on_node % n_devices;
  if (index >= n_devices) {
    throw Error("`device` is " + name + ", but there are only " + std::to_string(n_devices) + " CUDA devices, counted from 0");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

c10::ScalarType parse_dtype(const std::string& name) {
  if (name == "float32") return torch::kFloat32;
  if (name == "float64") return torch::kFloat64;
  throw Error("`dtype` must be float32 or float64, got " + name);
}

/// The native evaluator where it is asked for or can be had; null: torch.
std::unique_ptr<native::Evaluator> make_native(const Container& container, const std::string& name, const Options& options, const Stages& stages,
                                               const std::string& dtype) {
  const int threads = options.threads > 0 ? options.threads : at::get_num_threads();
  const auto& wanted = options.evaluator;
  if (wanted != "" && wanted != "native" && wanted != "torch") throw Error("`evaluator` must be native or torch, got " + wanted);
  if (wanted == "torch" || (wanted.empty() && !stages.device.is_cpu())) return nullptr;
  if (!stages.device.is_cpu()) throw Error("`evaluator native` computes on the CPU, got `device` " + stages.device.str() + "; use `evaluator torch`");
  std::unique_ptr<native::Evaluator> evaluator;
  try {
    evaluator = native::make_evaluator(container, dtype, threads);
  } catch (const Error& error) {
    throw Error(name + " is damaged: " + error.what());
  }
  if (!evaluator && wanted == "native") throw Error("`evaluator native` is for harmonic models of `lmax` 4 at most, on processors with AVX2 and FMA (x86-64-v3); use `evaluator torch`");
  return evaluator;
}

void check_threads(int threads) {
  const int most = std::max(most_threads, static_cast<int>(std::thread::hardware_concurrency()));
  if (threads >= 0 && threads <= most) return;
  throw Error("`threads` must be 0 (as many as torch has) to " + std::to_string(most) + ", got " + std::to_string(threads));
}

// ---- the file

void check_forces(const ModelInfo& info, const Options& options, const std::string& name) {
  if (info.direct_forces && !options.allow_direct_forces) {
    throw Error("the forces of " + name + " are direct, no gradient of any energy: no dynamics with them conserves one; where an engine takes such forces, say `direct_forces yes`");
  }
  if (!info.direct_forces && !info.conservative && !options.allow_nonconservative) {
    throw Error("the forces of " + name + " are not the gradient of its energy, which will not be conserved; say `nonconservative yes` (in Python: nonconservative=True) to have that");
  }
}

/// What the equations of its kind can do is asked of them; what the file wants of them must be there.
void prepare(Stages& stages, ModelInfo& info) {
  info.has_stages = stages.equations.has("moments") && !info.direct_forces;
  if (info.direct_forces && !stages.equations.has("forces")) throw Error("`forces` must be gradient, models of kind `" + info.kind + "` have no direct ones");
  if (!info.has_stages) return try_at_once(stages, info.elements.front(), info.direct_forces);
  if (info.n_blocks == 0) throw Error("`model.n_blocks` is missing");
  stages.n_blocks = info.n_blocks;
  measure(stages, info.elements.front());
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

}  // namespace

struct Model::Implementation {
  ModelInfo info;
  Stages stages;
  std::unique_ptr<native::Evaluator> native;   // null: the stages of torch
  int threads = 0;
  std::vector<bool> known;   // by atomic number

  Implementation(const std::string& bytes, const std::string& name, const Options& options) : threads(options.threads) {
    if (const auto problem = torch_problem(TORCH_ABI_VERSION, aoti_torch_abi_version()); !problem.empty()) throw Error(problem);
    const PlainTorch plain;   // weights read in inference mode could not be differentiated through later
    keep_freed_memory();
    check_threads(threads);
    stages.device = parse_device(options.device, options.process_on_node);
    if (!options.dtype.empty()) stages.dtype = parse_dtype(options.dtype);
    const auto container = open_container(bytes, name);
    in_words(name + " is damaged", [&] {
      info = container.metadata.info;
      info.metadata = container.text;
      info.weights_sha256 = container.weights_sha256();
      check_forces(info, options, name);
      if (options.dtype.empty()) stages.dtype = parse_dtype(info.dtype);
      stages.equations = make_equations(container, name, stages);
      try {
        prepare(stages, info);
      } catch (const Error& error) {
        throw Error(name + " is damaged: " + error.what());
      }
    });
    info.dtype = stages.dtype == torch::kFloat32 ? "float32" : "float64";
    info.device = stages.device.str();
    info.n_moments = std::max(stages.n_moments, stages.n_sums);
    in_words(name + " is damaged", [&] { native = make_native(container, name, options, stages, info.dtype); });
    info.evaluator = native ? std::string("native ") + native->level() : "torch";
    for (const auto number : info.elements) {
      if (number < 0 || number >= static_cast<int64_t>(symbols().size())) throw Error(name + " is damaged: it has an element " + std::to_string(number));
      if (static_cast<size_t>(number) >= known.size()) known.resize(number + 1, false);
      known[number] = true;
    }
  }

  void check_elements(const Graph& graph) const {
    for (int64_t i = 0; i < graph.n_atoms + graph.n_ghosts; ++i) {
      const auto number = graph.numbers[i];
      if (number < 0 || number >= static_cast<int64_t>(known.size()) || !known[number]) {
        throw Error("the model does not know element " + symbol_of(number) + " (of atom " + std::to_string(i) + ", counted from 0); it knows " +
                    symbol_list(info.elements));
      }
    }
  }
};

namespace {

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

std::string size_of(const Graph& graph, const Request& request) {
  std::string text = std::to_string(graph.n_atoms) + " atoms and " + std::to_string(graph.n_edges) + " edges";
  if (request.chunk > 0 && request.chunk < graph.n_edges) text += ", " + std::to_string(request.chunk) + " at once";
  return text;
}

}  // namespace

Model::Model(const std::string& path, const Options& options) : Model(from_bytes(read_file(path), options, path)) {}

Model Model::from_bytes(const std::string& bytes, const Options& options, const std::string& name) {
  return Model(std::make_unique<Implementation>(bytes, name, options));
}

Model::Model(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const ModelInfo& Model::info() const { return implementation_->info; }

void Model::evaluate(const Graph& graph, const Request& request, Result& result) {
  const WithoutPythonLock without_lock;
  const UseThreads use(implementation_->threads);
  try {
    in_words("the model failed on " + size_of(graph, request), [&] {
      implementation_->check_elements(graph);
      const auto& info = implementation_->info;
      if (implementation_->native) {
        implementation_->native->evaluate(graph, request, result);
      } else if (info.has_stages) {
        evaluate_by_stages(implementation_->stages, graph, request, result);
      } else {
        evaluate_at_once(implementation_->stages, graph, request, info.direct_forces, result);
      }
    });
  } catch (const OutOfMemory& error) {
    throw Error(std::string(error.what()) + "; evaluate fewer edges at once with `chunk`");
  }
}

}  // namespace spinconv
