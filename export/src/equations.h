// The equations of a model with its weights, compiled from the very text that Python computes by.
// SPDX-License-Identifier: MIT
#pragma once

#include "metadata.h"
#include "safetensors.h"

#include <torch/script.h>

#include <string>
#include <vector>

namespace spinconv {

/// Calls functions of the page of equations of a kind of model (potential/<kind>/equations.py), whose text is compiled into this library. Nothing of a model file is run.
class Equations {
 public:
  Equations() = default;
  /// Weights, where they are real numbers, go to `dtype`. Error, which begins with "holds" and wants the name of the file before it, for a kind
  /// that has no equations here.
  Equations(const Metadata& metadata, const std::vector<Tensor>& weights, c10::Device device, c10::ScalarType dtype);

  /// A stage, by its name, of `arguments` after the weights and the numbers of the model.
  c10::IValue operator()(const char* stage, std::vector<c10::IValue> arguments) const;

  /// Whether the kind has a function of this name.
  bool has(const char* stage) const;

 private:
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  c10::Dict<std::string, torch::Tensor> weights_;
  c10::Dict<std::string, double> settings_;
};

}  // namespace spinconv
