// Reads model.pt and evaluates it with libtorch. Everything that knows torch is in this file.
// SPDX-License-Identifier: MIT
#include "spinconv/model.h"

#include "spinconv/elements.h"

#include <torch/cuda.h>
#include <torch/script.h>

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>
#include <sstream>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace spinconv {
namespace {

constexpr int64_t readable_format = 1;
constexpr const char* metadata_name = "spinconv.json";

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

/// Runs `step`; whatever torch throws leaves as an Error that begins with `failure`.
template <class Step>
auto in_words(const std::string& failure, Step&& step) -> decltype(step()) {
  try {
    return step();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Error(failure + ": " + sentence(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    throw Error(failure + ": " + sentence(error.what()));
  }
}

// ---- the requests of the caller

c10::Device parse_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const bool has_index = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                         name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !has_index) throw Error("`device` must be cpu, cuda or cuda:<index>, got " + name);
  const int index = has_index ? std::stoi(name.substr(5)) : 0;
  const int n_devices = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (n_devices == 0) throw Error("`device` is " + name + ", but this torch finds no CUDA device; use cpu");
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

// ---- the file

struct Archive {
  torch::jit::Module module;
  std::string metadata;
};

Archive load_archive(std::istream& stream, const std::string& name) {
  torch::jit::ExtraFilesMap extra{{metadata_name, ""}};
  auto module = in_words(name + " is not a model.pt (`spinconv export` writes one)",
                         [&] { return torch::jit::load(stream, torch::kCPU, extra); });
  if (extra[metadata_name].empty()) {
    throw Error(name + " is a TorchScript file but not one of spinconv (it has no " + metadata_name + "); `spinconv export` writes one");
  }
  return {std::move(module), std::move(extra[metadata_name])};
}

c10::IValue attribute(const Archive& archive, const std::string& name, const char* key) {
  if (!archive.module.hasattr(key)) throw Error(name + " is damaged: it has no `" + key + "`; export it again");
  return archive.module.attr(key);
}

ModelInfo read_info(const Archive& archive, const std::string& name) {
  ModelInfo info;
  info.metadata = archive.metadata;
  info.format_version = attribute(archive, name, "format_version").toInt();
  if (info.format_version != readable_format) {
    throw Error(name + " was written for format " + std::to_string(info.format_version) + ", this spinconv reads format " +
                std::to_string(readable_format) + "; export it again with this spinconv");
  }
  info.kind = attribute(archive, name, "kind").toStringRef();
  if (info.kind != "harmonic") throw Error(name + " holds a model of kind `" + info.kind + "`, this spinconv runs `harmonic`");
  info.cutoff = attribute(archive, name, "cutoff").toDouble();
  info.elements = attribute(archive, name, "elements").toIntVector();
  info.conservative = attribute(archive, name, "conservative").toBool();
  info.dtype = attribute(archive, name, "dtype").toStringRef();
  if (!archive.module.find_method("energies")) throw Error(name + " is damaged: it has no method `energies`; export it again");
  return info;
}

/// Weights to the device and, where they are real numbers, to the working precision. jit::Module::to would cast integers too.
void move_weights(torch::jit::Module& module, c10::Device device, c10::ScalarType dtype) {
  const auto move = [&](torch::Tensor tensor) {
    if (tensor.requires_grad()) tensor.requires_grad_(false);
    tensor.set_data(tensor.to(device, tensor.is_floating_point() ? dtype : tensor.scalar_type()));
  };
  for (const auto& parameter : module.parameters()) move(parameter);
  for (const auto& buffer : module.buffers()) move(buffer);
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
  torch::jit::Module module;
  c10::Device device = c10::Device(c10::kCPU);
  c10::ScalarType dtype = torch::kFloat64;
  std::vector<bool> known;   // by atomic number

  Implementation(std::istream& stream, const std::string& name, const Options& options) {
    keep_freed_memory();
    device = parse_device(options.device);
    if (!options.dtype.empty()) dtype = parse_dtype(options.dtype);
    auto archive = load_archive(stream, name);
    in_words(name + " is damaged", [&] {
      info = read_info(archive, name);
      if (options.dtype.empty()) dtype = parse_dtype(info.dtype);
      module = std::move(archive.module);
      module.eval();
      move_weights(module, device, dtype);
    });
    for (const auto number : info.elements) {
      if (number < 0 || number >= static_cast<int64_t>(symbols().size())) throw Error(name + " is damaged: it has an element " + std::to_string(number));
      if (static_cast<size_t>(number) >= known.size()) known.resize(number + 1, false);
      known[number] = true;
    }
  }

  void check_elements(const Graph& graph) const {
    for (int64_t i = 0; i < graph.n_atoms; ++i) {
      const auto number = graph.numbers[i];
      if (number < 0 || number >= static_cast<int64_t>(known.size()) || !known[number]) {
        throw Error("the model does not know element " + symbol_of(number) + " (of atom " + std::to_string(i) + ", counted from 0); it knows " +
                    symbol_list(info.elements));
      }
    }
  }

  torch::Tensor on_device(const int64_t* data, at::IntArrayRef shape) const {
    return torch::from_blob(const_cast<int64_t*>(data), shape, torch::kInt64).to(device);
  }

  void evaluate(const Graph& graph, bool with_gradients, Result& result) {
    check_elements(graph);
    const auto n_atoms = graph.n_atoms, n_edges = graph.n_edges;
    result.energy = 0.0;
    result.atom_energies.resize(n_atoms);
    result.edge_gradients.resize(with_gradients ? 3 * n_edges : 0);
    if (n_atoms == 0) return;

    // Without profiling and fusion: those would slow the first steps, again whenever sizes change, and gain nothing on a CPU.
    // Both guards hold for this thread alone and put back what was there.
    torch::jit::GraphOptimizerEnabledGuard optimizer_off(false);
    at::AutoGradMode with_grad(with_gradients && n_edges > 0);

    const auto numbers = on_device(graph.numbers, {n_atoms});
    const auto edge_index = torch::stack({on_device(graph.source, {n_edges}), on_device(graph.target, {n_edges})});  // (2, n_edges)
    auto vectors = torch::from_blob(const_cast<double*>(graph.vectors), {n_edges, 3}, torch::kFloat64).to(device, dtype);
    if (with_gradients && n_edges > 0) vectors.requires_grad_(true);

    const auto energies = module.get_method("energies")({numbers, edge_index, vectors}).toTensor();  // (n_atoms,)
    if (energies.dim() != 1 || energies.size(0) != n_atoms) throw Error("the model gave no energy per atom; export it again");
    const auto energies_here = energies.detach().to(torch::kCPU, torch::kFloat64).contiguous();
    std::copy_n(energies_here.const_data_ptr<double>(), n_atoms, result.atom_energies.begin());
    for (const auto energy : result.atom_energies) result.energy += energy;

    if (!with_gradients || n_edges == 0) return;
    const auto gradient = torch::autograd::grad({energies}, {vectors}, {torch::ones_like(energies)})[0];
    const auto gradient_here = gradient.to(torch::kCPU, torch::kFloat64).contiguous();  // (n_edges, 3)
    std::copy_n(gradient_here.const_data_ptr<double>(), 3 * n_edges, result.edge_gradients.begin());
  }
};

namespace {

std::ifstream open(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  // A directory opens, and only reading fails; peek finds out, and finds an empty file too.
  if (!file) throw Error("cannot open model file " + path + ": " + std::strerror(errno));
  if (file.peek() == std::ifstream::traits_type::eof()) throw Error("model file " + path + " is empty or a folder");
  return file;
}

}  // namespace

Model::Model(const std::string& path, const Options& options) {
  auto file = open(path);
  implementation_ = std::make_unique<Implementation>(file, path, options);
}

Model Model::from_bytes(const std::string& bytes, const Options& options) {
  std::istringstream stream(bytes);
  return Model(std::make_unique<Implementation>(stream, "the model", options));
}

Model::Model(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

const ModelInfo& Model::info() const { return implementation_->info; }

void Model::evaluate(const Graph& graph, bool with_gradients, Result& result) {
  in_words("the model failed on " + std::to_string(graph.n_atoms) + " atoms and " + std::to_string(graph.n_edges) + " edges",
           [&] { implementation_->evaluate(graph, with_gradients, result); });
}

}  // namespace spinconv
