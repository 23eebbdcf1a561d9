// SpinConvForce at work in one Context: positions in, energy and forces out.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/internal/CustomCPPForceImpl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "Atoms.h"
#include "Extrapolation.h"
#include "SpinConvForce.h"

namespace spinconv {

class Computation;
class ContextForce;
class HostForce;
namespace gpu {
class Device;
}

class SpinConvForceImpl : public OpenMM::CustomCPPForceImpl {
 public:
  explicit SpinConvForceImpl(const SpinConvForce& owner);
  ~SpinConvForceImpl() override;

  const OpenMM::Force& getOwner() const override { return owner_; }
  void initialize(OpenMM::ContextImpl& context) override;
  double calcForcesAndEnergy(OpenMM::ContextImpl& context, bool include_forces, bool include_energy, int groups) override;
  void updateContextState(OpenMM::ContextImpl&, bool&) override { extrapolation_.begin_step(); }   // integrators call it first in a step
  double computeForce(OpenMM::ContextImpl& context, const std::vector<OpenMM::Vec3>& positions, std::vector<OpenMM::Vec3>& forces) override;
  std::vector<std::pair<int, int>> getBondedParticles() const override { return owner_.getBonds(); }
  CommitteeDeviation deviation(OpenMM::ContextImpl& context);
  std::string evaluator() const;
  double model_seconds() const;
  int64_t bytes_read() const;

 private:
  double check_skin() const;   // nm
  std::vector<Model> open_models(const std::string& device, const std::shared_ptr<gpu::Device>& engine_device);
  /// Null where the force is to be computed on the host.
  std::unique_ptr<ContextForce> in_context(OpenMM::ContextImpl& context);
  const Computation& computation() const;

  const SpinConvForce& owner_;
  Atoms atoms_;
  Extrapolation extrapolation_;
  std::unique_ptr<HostForce> on_host_;           // one of the two
  std::unique_ptr<ContextForce> in_context_;
  std::atomic<bool> with_forces_{true};
};

}  // namespace spinconv
