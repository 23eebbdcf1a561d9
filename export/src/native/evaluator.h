// The evaluation of a model on a CPU without torch: sorts edges, calls the kernels of an instruction set stage by stage, forward and backward,
// with the exchanges between processes where export/src/evaluation.cpp has them.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "../evaluator.h"

#include <memory>
#include <string>

namespace spinconv::native {

class Evaluator : public spinconv::Evaluator {
 public:
  /// The instruction set: "x86-64-v4".
  virtual const char* level() const = 0;
  std::string name() const override { return std::string("native ") + level(); }
  std::string device() const override { return "cpu"; }
  bool has_stages() const override { return true; }
};

/// For the best instruction set that this processor has, or `level` if it has that; null where there is none, and for models that this code
/// is not for. `threads` share the work where there are edges enough.
std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, int threads, const std::string& level = "");

}  // namespace spinconv::native
