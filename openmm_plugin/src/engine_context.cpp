// SPDX-License-Identifier: MIT
#include "engine_context.h"

#include <openmm/Platform.h>
#include <openmm/common/ComputeContext.h>
#if __has_include(<openmm/cuda/CudaPlatform.h>)
#include <openmm/cuda/CudaPlatform.h>
#define SPINCONV_HAS_CUDA_PLATFORM
#endif
#if __has_include(<openmm/hip/HipPlatform.h>)
#include <openmm/hip/HipPlatform.h>
#define SPINCONV_HAS_HIP_PLATFORM
#endif
#if __has_include(<openmm/opencl/OpenCLPlatform.h>)
#include <openmm/opencl/OpenCLPlatform.h>
#define SPINCONV_HAS_OPENCL_PLATFORM
#endif

#include <algorithm>
#include <cctype>
#include <map>

#include "spinconv/device.h"

namespace spinconv {
namespace {

/// A property that the platform does not have is empty.
std::string property(const std::map<std::string, std::string>& properties, const std::string& name) {
  const auto found = properties.find(name);
  return found == properties.end() ? "" : found->second;
}

template <class PlatformData>
void read(OpenMM::ContextImpl& context, EngineContext& engine) {
  engine.is_gpu = true;
  engine.why_not.clear();
  // What is read here is in OpenMM's headers, and may stand elsewhere in another version.
  if (const auto& here = OpenMM::Platform::getOpenMMVersion(); here != SPINCONV_OPENMM_VERSION) {
    engine.why_not = "this is OpenMM " + here + ", and the plugin was built with " + SPINCONV_OPENMM_VERSION;
    return;
  }
  auto& data = *static_cast<PlatformData*>(context.getPlatformData());
  if (data.contexts.size() != 1) {
    engine.why_not = "the platform " + engine.platform + " computes on " + std::to_string(data.contexts.size()) + " devices";
    return;
  }
  // OpenCLContext and its like, of which only the name is known here, derive from ComputeContext alone.
  engine.context = reinterpret_cast<OpenMM::ComputeContext*>(data.contexts[0]);
  auto kind = engine.platform;
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  engine.device = kind + ":" + property(data.propertyValues, "DeviceIndex");
  engine.name_of_device = property(data.propertyValues, "DeviceName");
  engine.maker = property(data.propertyValues, "OpenCLPlatformName");
}

/// Ours counts the devices of all of OpenCL's platforms, OpenMM's those of one: that of the same maker which comes as late among its devices.
bool is_place(const EngineContext& engine, const std::string& device) {
  int n_before = 0;
  for (const auto& found : gpu::opencl_devices()) {
    const auto& words = found.description;   // "name (OpenCL 3.0, maker)"
    const auto end = ", " + engine.maker + ")";
    if (words.size() < end.size() || words.compare(words.size() - end.size(), end.size(), end) != 0) continue;
    if (found.name == device) return engine.device == "opencl:" + std::to_string(n_before) && words.rfind(engine.name_of_device + " (", 0) == 0;
    ++n_before;
  }
  return false;
}

}  // namespace

EngineContext engine_context(OpenMM::ContextImpl& context) {
  EngineContext engine;
  engine.platform = context.getPlatform().getName();
  engine.why_not = "the platform " + engine.platform + " has no arrays on a device that this plugin knows";
#ifdef SPINCONV_HAS_OPENCL_PLATFORM
  if (engine.platform == "OpenCL") read<OpenMM::OpenCLPlatform::PlatformData>(context, engine);
#endif
#ifdef SPINCONV_HAS_CUDA_PLATFORM
  if (engine.platform == "CUDA") read<OpenMM::CudaPlatform::PlatformData>(context, engine);
#endif
#ifdef SPINCONV_HAS_HIP_PLATFORM
  if (engine.platform == "HIP") read<OpenMM::HipPlatform::PlatformData>(context, engine);
#endif
  return engine;
}

bool is_device_of(const EngineContext& engine, const std::string& device) {
  if (engine.context == nullptr) return false;
  const auto kind = engine.device.substr(0, engine.device.find(':'));
  if (device == kind) return kind != "hip";
  if (kind == "opencl" && device.rfind("opencl:", 0) == 0) return is_place(engine, device);
  return kind == "cuda" && device == engine.device;
}

}  // namespace spinconv
