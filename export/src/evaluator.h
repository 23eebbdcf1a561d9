// What computes a model: the native evaluator, which is part of this library, or torch's, which is in one of its own (torch_library.h).
// SPDX-License-Identifier: MIT
#pragma once

#include "spinconv/model.h"

#include <stdexcept>
#include <string>

namespace spinconv {

/// Memory that an evaluator could not have, in words: "not enough memory, ...".
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Evaluator {
 public:
  virtual ~Evaluator() = default;
  /// See ModelInfo, whose members these are.
  virtual std::string name() const = 0;
  virtual std::string device() const = 0;
  virtual bool has_stages() const = 0;
  virtual int64_t n_moments() const = 0;
  /// See Model::evaluate. Error for what a caller may not ask or atoms may not do; anything else thrown is a failure, in a sentence.
  virtual void evaluate(const Graph& graph, const Request& request, Result& result) = 0;
  /// See Model::on_device.
  virtual OnDevice* on_device() { return nullptr; }
};

}  // namespace spinconv
