// SpinConvForce at work in one Context: positions in, energy and forces out. The same code serves every platform.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/internal/CustomCPPForceImpl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "NeighborList.h"
#include "SpinConvForce.h"
#include "spinconv/extrapolation.h"
#include "spinconv/model.h"

namespace spinconv {

class SpinConvForceImpl : public OpenMM::CustomCPPForceImpl {
 public:
  explicit SpinConvForceImpl(const SpinConvForce& owner);
  ~SpinConvForceImpl() override;

  const OpenMM::Force& getOwner() const override { return owner_; }
  void initialize(OpenMM::ContextImpl& context) override;
  double calcForcesAndEnergy(OpenMM::ContextImpl& context, bool include_forces, bool include_energy, int groups) override;
  void updateContextState(OpenMM::ContextImpl&, bool&) override { is_in_step_ = true; }   // integrators call it first in a step
  double computeForce(OpenMM::ContextImpl& context, const std::vector<OpenMM::Vec3>& positions, std::vector<OpenMM::Vec3>& forces) override;
  std::vector<std::pair<int, int>> getBondedParticles() const override { return owner_.getBonds(); }
  CommitteeDeviation deviation(OpenMM::ContextImpl& context);
  std::string evaluator() const;
  double model_seconds() const { return model_seconds_; }

 private:
  void check_particles(int n_particles) const;
  void check_elements(const Model& model) const;
  double check_skin() const;   // nm
  void gather(const std::vector<OpenMM::Vec3>& positions);
  void find_neighbors(OpenMM::ContextImpl& context);
  Graph graph() const;
  void look_for_extrapolation();
  void say_warning();
  void evaluate(bool with_forces);
  void sum_forces(const Result& result, std::vector<Point>& forces) const;
  void check_result() const;
  void scatter(std::vector<OpenMM::Vec3>& forces);

  const Result& result() const { return models_.size() == 1 ? results_[0] : mean_; }

  /// Index in the System of the i-th atom of the model.
  int particle(size_t i) const { return particles_[i]; }

  const SpinConvForce& owner_;
  std::vector<int64_t> numbers_;
  std::vector<int> particles_;
  bool periodic_ = false;
  std::atomic<bool> with_forces_{true};

  std::vector<Model> models_;
  Watch watch_;                    // of atoms unlike those of training
  std::atomic<bool> is_in_step_{false};                   // of an integrator
  bool has_found_one_ = false, has_found_one_in_step_ = false;   // such an atom, whoever asked; in a step
  std::string warning_;            // to be said, if there is one
  std::atomic<bool> has_warning_{false};
  std::unique_ptr<NeighborList> neighbors_;
  std::vector<Point> positions_;   // Å
  std::vector<Point> forces_;      // eV/Å
  double model_seconds_ = 0.0;
  std::vector<Result> results_;    // one a model
  Result mean_;                    // used when there are several
};

}  // namespace spinconv
