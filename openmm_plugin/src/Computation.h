// What computes a SpinConvForce in one Context: HostForce, on every platform, or ContextForce, in the arrays of a GPU platform.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/internal/ContextImpl.h>

#include <cstdint>
#include <string>

#include "SpinConvForce.h"

namespace spinconv {

class Computation {
 public:
  virtual ~Computation() = default;
  /// "native x86-64-v4, float32 on cpu"
  virtual std::string evaluator() const = 0;
  virtual CommitteeDeviation deviation(OpenMM::ContextImpl& context) = 0;
  /// What of a device's memory has gone to the host.
  virtual int64_t bytes_read() const { return 0; }
  /// Wall time that the models have taken.
  double model_seconds() const { return model_seconds_; }

 protected:
  double model_seconds_ = 0.0;
};

}  // namespace spinconv
