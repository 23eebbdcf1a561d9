// A SpinConv model as an OpenMM force. It owns the bytes of the model file, so that its XML runs on any machine.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/Force.h>

#include <string>
#include <vector>

namespace spinconv {

class SpinConvForce : public OpenMM::Force {
 public:
  /// `model` is the content of a model.pt. `numbers` are the atomic numbers of the particles that the force acts on: of all
  /// particles in the order of the System, or of those named by `particles` (indices into the System), in that order.
  SpinConvForce(std::string model, std::vector<int> numbers, std::vector<int> particles = {});

  const std::string& getModel() const { return model_; }
  const std::vector<int>& getNumbers() const { return numbers_; }
  /// Empty when the force acts on every particle.
  const std::vector<int>& getParticles() const { return particles_; }

  bool usesPeriodicBoundaryConditions() const override { return periodic_; }
  void setUsesPeriodicBoundaryConditions(bool periodic) { periodic_ = periodic; }

  /// "float32", "float64" or "" for what the file was exported for.
  const std::string& getPrecision() const { return precision_; }
  void setPrecision(const std::string& precision) { precision_ = precision; }

  /// Where the model runs, whatever the platform of the Context: "cpu", "cuda" or "cuda:<index>".
  const std::string& getDevice() const { return device_; }
  void setDevice(const std::string& device) { device_ = device; }

 protected:
  OpenMM::ForceImpl* createImpl() const override;

 private:
  std::string model_;
  std::vector<int> numbers_;
  std::vector<int> particles_;
  bool periodic_ = false;
  std::string precision_;
  std::string device_ = "cpu";
};

}  // namespace spinconv
