// A SpinConvForce whose positions come to the host and whose forces go back: by any evaluator, on every platform.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "Atoms.h"
#include "Computation.h"
#include "Extrapolation.h"
#include "NeighborList.h"
#include "spinconv/model.h"

namespace spinconv {

class HostForce : public Computation {
 public:
  /// Neighbours are kept within a `skin`, in nm; see NeighborList.
  HostForce(const Atoms& atoms, Extrapolation& extrapolation, std::vector<Model> models, double skin);

  std::string evaluator() const override;
  CommitteeDeviation deviation(OpenMM::ContextImpl& context) override;
  /// kJ/mol; sets `forces` of all particles.
  double compute(OpenMM::ContextImpl& context, const std::vector<OpenMM::Vec3>& positions, bool with_forces, std::vector<OpenMM::Vec3>& forces);

 private:
  void gather(const std::vector<OpenMM::Vec3>& positions);
  void find_neighbors(OpenMM::ContextImpl& context);
  Graph graph() const;
  void evaluate(bool with_forces);
  void sum_forces(const Result& result, std::vector<Point>& forces) const;
  void check_result() const;
  void scatter(std::vector<OpenMM::Vec3>& forces);

  const Result& result() const { return models_.size() == 1 ? results_[0] : mean_; }

  const Atoms& atoms_;
  Extrapolation& extrapolation_;
  std::vector<Model> models_;
  std::unique_ptr<NeighborList> neighbors_;
  std::vector<Point> positions_;   // Å
  std::vector<Point> forces_;      // eV/Å
  std::vector<Result> results_;    // one a model
  Result mean_;                    // used when there are several
};

}  // namespace spinconv
