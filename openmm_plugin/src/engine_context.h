// The arrays and the queue of a Context on OpenMM's GPU platforms, behind OpenMM's own interface, ComputeContext. Its virtual and inline functions alone may be
// called: the others are in the platforms' libraries, which are not linked.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/internal/ContextImpl.h>

#include <string>

namespace OpenMM {
class ComputeContext;
}

namespace spinconv {

struct EngineContext {
  OpenMM::ComputeContext* context = nullptr;   // null where there is none to compute in
  bool is_gpu = false;                         // whether the platform is one that has arrays on devices
  std::string why_not;                         // then: "the platform OpenCL computes on 2 devices"
  std::string platform;                        // "OpenCL"
  std::string device;                          // "opencl:0", by the DeviceIndex of the platform
  std::string name_of_device;                  // "NVIDIA H100 80GB HBM3"
  std::string maker;                           // with OpenCL, its platform of that: "Portable Computing Language"
};

EngineContext engine_context(OpenMM::ContextImpl& context);

/// Whether `device` of a SpinConvForce ("cuda", "opencl:1", ...) is the one that a Context computes on.
bool is_device_of(const EngineContext& engine, const std::string& device);

}  // namespace spinconv
