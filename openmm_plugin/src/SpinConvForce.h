// A SpinConv model, or a committee of several, as an OpenMM force. It owns the bytes of the files, so that its XML runs on any machine.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/Force.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace OpenMM {
class Context;
}

namespace spinconv {

/// How far the models of a committee are apart: root mean squares of the differences from their mean.
struct CommitteeDeviation {
  double energy = 0.0;          // kJ/mol, of the total energy
  std::vector<double> forces;   // kJ/mol/nm, a number for each particle that the force acts on
};

class SpinConvForce : public OpenMM::Force {
 public:
  /// `models` are the contents of model.pt files; energy and forces are the mean of theirs. `numbers` are the atomic numbers of the
  /// particles that the force acts on: of all particles in the order of the System, or of those named by `particles` (indices into
  /// the System), in that order.
  SpinConvForce(std::vector<std::string> models, std::vector<int> numbers, std::vector<int> particles = {});

  const std::vector<std::string>& getModels() const { return models_; }
  const std::vector<int>& getNumbers() const { return numbers_; }
  /// Empty when the force acts on every particle.
  const std::vector<int>& getParticles() const { return particles_; }

  /// Pairs of particles that belong to one molecule. The model takes no notice; barostats move molecules as a whole.
  const std::vector<std::pair<int, int>>& getBonds() const { return bonds_; }
  void addBond(int particle1, int particle2) { bonds_.emplace_back(particle1, particle2); }

  bool usesPeriodicBoundaryConditions() const override { return periodic_; }
  void setUsesPeriodicBoundaryConditions(bool periodic) { periodic_ = periodic; }

  /// "float32", "float64" or "" for what the file was exported for.
  const std::string& getPrecision() const { return precision_; }
  void setPrecision(const std::string& precision) { precision_ = precision; }

  /// Where the model runs, whatever the platform of the Context: "cpu", "cuda", "opencl", one of several as "cuda:1", or "auto", CUDA where there is a device.
  /// "context" is where the Context computes: by kernels in its arrays on the platforms OpenCL, CUDA and HIP, else the CPU. "opencl", and "cuda" with the evaluator "native", are that, too,
  /// where they name the device of the Context's platform, of one harmonic model that `evaluator` torch is not asked for.
  const std::string& getDevice() const { return device_; }
  void setDevice(const std::string& device) { device_ = device; }

  /// What evaluates the model: "native", "torch" or "" for native on a CPU that it has code for.
  const std::string& getEvaluator() const { return evaluator_; }
  void setEvaluator(const std::string& evaluator) { evaluator_ = evaluator; }

  /// Threads within an evaluation on the CPU, 0 for OMP_NUM_THREADS or as many as there are processors.
  int getThreads() const { return threads_; }
  void setThreads(int threads) { threads_ = threads; }

  /// Neighbours are looked for to this distance beyond the cutoff (nm), and again once a particle has moved by half of it.
  double getSkin() const { return skin_; }
  void setSkin(double skin) { skin_ = skin; }

  /// Whether a model whose forces are not the gradient of its energy is accepted.
  bool getNonconservative() const { return nonconservative_; }
  void setNonconservative(bool nonconservative) { nonconservative_ = nonconservative; }

  /// Wall time (s) that the models have taken in a Context since it was made. Throws OpenMMException.
  double getModelSecondsInContext(OpenMM::Context& context) const;

  /// Bytes of a device that have gone to the host for a force that is computed in the arrays of a Context; 0 for another. Throws OpenMMException.
  int64_t getBytesReadInContext(OpenMM::Context& context) const;

  /// What evaluates the models in a Context, one after another: "native x86-64-v4" or "torch", and the device. Throws OpenMMException.
  std::string getEvaluatorInContext(OpenMM::Context& context) const;

  /// Evaluates every model at the current positions of a Context made of a System with this force. Throws OpenMMException.
  CommitteeDeviation getDeviationInContext(OpenMM::Context& context) const;

 protected:
  OpenMM::ForceImpl* createImpl() const override;

 private:
  std::vector<std::string> models_;
  std::vector<int> numbers_;
  std::vector<int> particles_;
  std::vector<std::pair<int, int>> bonds_;
  bool periodic_ = false;
  std::string precision_;
  std::string device_ = "cpu";
  std::string evaluator_;
  int threads_ = 0;
  double skin_ = 0.0;
  bool nonconservative_ = false;
};

}  // namespace spinconv
