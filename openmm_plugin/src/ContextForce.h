// A SpinConvForce by kernels in the arrays of a Context on one of OpenMM's GPU platforms: positions are read and forces added where they are, in the order of
// the Context's queue. Of atoms nothing goes to the host but what errors and warnings say.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openmm/common/ComputeVectorTypes.h>

#include "Atoms.h"
#include "Computation.h"
#include "ContextDevice.h"
#include "Extrapolation.h"
#include "spinconv/on_device.h"

namespace spinconv {

class ContextForce : public Computation {
 public:
  /// `model` computes on `device`, which is that of `engine`.
  ContextForce(const EngineContext& engine, std::shared_ptr<ContextDevice> device, const Atoms& atoms, Extrapolation& extrapolation, Model model);

  std::string evaluator() const override;
  /// One model does not deviate from itself.
  CommitteeDeviation deviation(OpenMM::ContextImpl&) override { return {0.0, std::vector<double>(atoms_.size(), 0.0)}; }
  int64_t bytes_read() const override { return device_->bytes_read(); }
  /// Adds forces to those of the Context, and returns the energy (kJ/mol) or, where none is asked for, 0.
  double compute(OpenMM::ContextImpl& context, bool with_forces, bool with_energy);

 private:
  void launch(const char* name, int64_t n, const std::vector<gpu::Argument>& arguments);
  void take_positions(OpenMM::ContextImpl& context);
  const gpu::Memory* cells(OpenMM::ContextImpl& context);
  void add_forces();
  double read_energy();
  [[noreturn]] void refuse_energy();
  void look_back();
  template <class Number>
  void write(gpu::Memory& to, const std::vector<Number>& numbers);

  EngineContext engine_;
  OpenMM::ComputeContext& context_;
  std::shared_ptr<ContextDevice> device_;
  const Atoms& atoms_;
  Extrapolation& extrapolation_;
  Model model_;
  OnDevice& on_device_;
  std::unique_ptr<gpu::Program> program_;
  std::unique_ptr<gpu::Memory> slots_, corrections_, particles_, context_forces_;   // OpenMM's
  std::unique_ptr<gpu::Memory> atom_of_particle_, cells_, box_, trouble_, energy_;
  std::vector<OpenMM::mm_int4> cells_here_;
  bool has_run_ = false, was_in_step_ = false, had_forces_ = false;   // an evaluation that was not looked back at, and what it was
};

}  // namespace spinconv
