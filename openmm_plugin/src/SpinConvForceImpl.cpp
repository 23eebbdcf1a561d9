// SPDX-License-Identifier: MIT
#include "SpinConvForceImpl.h"

#include <openmm/OpenMMException.h>
#include <openmm/System.h>
#include <openmm/internal/ContextImpl.h>

#include <cmath>
#include <string>

#include "ContextDevice.h"
#include "ContextForce.h"
#include "HostForce.h"
#include "engine_context.h"
#include "units.h"

namespace spinconv {

using OpenMM::OpenMMException;
using OpenMM::Vec3;

SpinConvForceImpl::SpinConvForceImpl(const SpinConvForce& owner) : OpenMM::CustomCPPForceImpl(owner), owner_(owner), extrapolation_(atoms_) {}

SpinConvForceImpl::~SpinConvForceImpl() {
  try {
    extrapolation_.say();
  } catch (const OpenMMException&) {   // too late to end on it
  }
}

// ---- once per Context

void SpinConvForceImpl::initialize(OpenMM::ContextImpl& context) {
  atoms_ = atoms_of(owner_, context.getSystem().getNumParticles());
  in_openmm_words([&] {
    const double skin = check_skin();
    in_context_ = in_context(context);
    if (in_context_) return;   // without the thread that OpenMM has for forces on the host
    OpenMM::CustomCPPForceImpl::initialize(context);
    const auto& device = owner_.getDevice();
    on_host_ = std::make_unique<HostForce>(atoms_, extrapolation_, open_models(device == "context" ? "cpu" : device, nullptr), skin);
  });
}

double SpinConvForceImpl::check_skin() const {
  const double skin = owner_.getSkin();
  if (skin >= 0.0 && std::isfinite(skin)) return skin;
  throw OpenMMException("SpinConvForce: `skin` must be 0 or a length (nm), got " + std::to_string(skin));
}

std::vector<Model> SpinConvForceImpl::open_models(const std::string& device, const std::shared_ptr<gpu::Device>& engine_device) {
  Options options;
  options.device = device;
  options.dtype = owner_.getPrecision();
  options.evaluator = owner_.getEvaluator();
  options.threads = owner_.getThreads();
  options.engine_device = engine_device;
  options.allow_nonconservative = owner_.getNonconservative();
  std::vector<Model> models;
  const auto n_models = owner_.getModels().size();
  for (size_t m = 0; m < n_models; ++m) {
    const std::string name = n_models == 1 ? "the model" : "model " + std::to_string(m + 1) + " of the committee";
    models.push_back(Model::from_bytes(owner_.getModels()[m], options, name));
    atoms_.check_elements(models[m]);
  }
  return models;
}

std::unique_ptr<ContextForce> SpinConvForceImpl::in_context(OpenMM::ContextImpl& context) {
  const auto& device = owner_.getDevice();
  if (device == "cpu" || device == "auto") return nullptr;
  const auto engine = engine_context(context);
  const bool is_asked = device == "context";
  if (is_asked ? !engine.is_gpu : !is_device_of(engine, device)) return nullptr;
  if (device.rfind("cuda", 0) == 0 && owner_.getEvaluator() != "native") return nullptr;   // torch comes first there
  std::string why_not = engine.why_not;
  if (owner_.getModels().size() > 1) why_not = "a committee is computed on the host";
  if (owner_.getEvaluator() == "torch") why_not = "`evaluator` torch computes elsewhere";
  if (!why_not.empty()) {
    if (is_asked) throw Error("`device` context, in the arrays of the Context, cannot be had: " + why_not + "; use cpu, cuda or opencl");
    return nullptr;
  }
  try {
    const auto on_device = std::make_shared<ContextDevice>(engine);
    auto models = open_models("cpu", on_device);
    return std::make_unique<ContextForce>(engine, on_device, atoms_, extrapolation_, std::move(models[0]));
  } catch (const std::exception&) {
    if (is_asked) throw;
    return nullptr;   // the way by the host will say it again, unless torch can
  }
}

// ---- every step

double SpinConvForceImpl::calcForcesAndEnergy(OpenMM::ContextImpl& context, bool include_forces, bool include_energy, int groups) {
  if (in_context_) {
    if ((groups & (1 << owner_.getForceGroup())) == 0) return 0.0;
    const double energy = in_openmm_words([&] { return in_context_->compute(context, include_forces, include_energy); });
    extrapolation_.say();
    return energy;
  }
  // Where the platform computes in this call (Reference, CPU), an energy alone costs no gradient: a third of the time. Barostats ask
  // for one, unless the integrator is a leapfrog, whose kinetic energy needs the forces.
  // GPU platforms run computeForce on a thread of their own, begun before this call. It may see either value when an energy alone is
  // wanted, and both are right; when forces are wanted the flag never leaves true.
  with_forces_ = include_forces;
  struct Restore {
    std::atomic<bool>& flag;
    ~Restore() { flag = true; }
  } restore{with_forces_};
  extrapolation_.say();   // of the step before, on a GPU platform
  const double energy = OpenMM::CustomCPPForceImpl::calcForcesAndEnergy(context, include_forces, include_energy, groups);
  extrapolation_.say();
  return energy;
}

double SpinConvForceImpl::computeForce(OpenMM::ContextImpl& context, const std::vector<Vec3>& positions, std::vector<Vec3>& forces) {
  const bool with_forces = with_forces_;   // read once: see calcForcesAndEnergy
  return in_openmm_words([&] { return on_host_->compute(context, positions, with_forces, forces); });
}

// ---- what is asked for beside

const Computation& SpinConvForceImpl::computation() const { return in_context_ ? static_cast<const Computation&>(*in_context_) : *on_host_; }

CommitteeDeviation SpinConvForceImpl::deviation(OpenMM::ContextImpl& context) {
  return in_openmm_words([&] { return in_context_ ? in_context_->deviation(context) : on_host_->deviation(context); });
}

std::string SpinConvForceImpl::evaluator() const { return computation().evaluator(); }

double SpinConvForceImpl::model_seconds() const { return computation().model_seconds(); }

int64_t SpinConvForceImpl::bytes_read() const { return computation().bytes_read(); }

}  // namespace spinconv
