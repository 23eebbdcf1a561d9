// SPDX-License-Identifier: MIT
#include "equations.h"

#include "equations_text.h"

#include <torch/jit.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace spinconv {
namespace {

/// What the text takes from Python.
constexpr const char* prelude = R"(
def silu(x: Tensor) -> Tensor:
    return torch.silu(x)

)";

constexpr int64_t n_numbers = 119;   // atomic numbers, and 0

std::string text_of(const std::string& kind) {
  std::string known;
  for (const auto& row : kinds_of_models) {
    if (row.name == kind) return row.equations;
    known += (known.empty() ? "`" : ", `") + std::string(row.name) + "`";
  }
  throw Error("holds a model of kind `" + kind + "`, this spinconv runs " + known);
}

/// Compiled once, when the first model of its kind is read.
std::shared_ptr<torch::jit::CompilationUnit> equations_of(const std::string& kind) {
  static std::mutex one_at_a_time;
  static std::map<std::string, std::shared_ptr<torch::jit::CompilationUnit>> compiled;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  auto& unit = compiled[kind];
  if (unit == nullptr) unit = torch::jit::compile(prelude + text_of(kind));
  return unit;
}

torch::Tensor to_torch(const Tensor& stored) {
  const bool is_real = stored.dtype() == Tensor::Dtype::float64;
  auto made = torch::empty(stored.shape(), is_real ? torch::kFloat64 : torch::kInt64);
  std::copy_n(stored.bytes().data(), stored.bytes().size(), static_cast<char*>(made.data_ptr()));
  return made;
}

/// Row of an element in tables, by atomic number; -1 for those that the model does not know.
torch::Tensor row_of_element(const std::vector<int64_t>& elements) {
  auto rows = torch::full({n_numbers}, -1, torch::kInt64);
  for (size_t n = 0; n < elements.size(); ++n) rows[elements[n]] = static_cast<int64_t>(n);
  return rows;
}

}  // namespace

Equations::Equations(const Metadata& metadata, const std::vector<Tensor>& weights, c10::Device device, c10::ScalarType dtype)
    : unit_(equations_of(metadata.info.kind)) {
  for (const auto& stored : weights) {
    const auto value = to_torch(stored);
    weights_.insert(stored.name(), value.to(device, value.is_floating_point() ? dtype : torch::kInt64));
  }
  weights_.insert("constants.element", row_of_element(metadata.info.elements).to(device));
  weights_.insert("constants.reference_energies", torch::tensor(metadata.reference_energies, torch::kFloat64).to(device));   // stay so
  settings_.insert("cutoff", metadata.info.cutoff);
  settings_.insert("n_blocks", static_cast<double>(metadata.info.n_blocks));
  settings_.insert("scale", metadata.scale);
  settings_.insert("average_neighbors", metadata.average_neighbors);
  for (const auto& [name, value] : metadata.settings) settings_.insert(name, value);   // which leaves the others as they are
}

bool Equations::has(const char* stage) const { return unit_->find_function(c10::QualifiedName(stage)) != nullptr; }

c10::IValue Equations::operator()(const char* stage, std::vector<c10::IValue> arguments) const {
  arguments.insert(arguments.begin(), {weights_, settings_});
  return unit_->get_function(c10::QualifiedName(stage))(std::move(arguments));
}

}  // namespace spinconv
