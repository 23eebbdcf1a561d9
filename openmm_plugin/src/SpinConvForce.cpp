// SPDX-License-Identifier: MIT
#include "SpinConvForce.h"

#include <openmm/OpenMMException.h>

#include <algorithm>
#include <utility>

#include "SpinConvForceImpl.h"

namespace spinconv {

SpinConvForce::SpinConvForce(std::vector<std::string> models, std::vector<int> numbers, std::vector<int> particles)
    : models_(std::move(models)), numbers_(std::move(numbers)), particles_(std::move(particles)) {
  setName("SpinConvForce");
  if (models_.empty()) throw OpenMM::OpenMMException("SpinConvForce: `models` must hold at least one model, got none");
  if (particles_.empty()) return;
  if (particles_.size() != numbers_.size()) {
    throw OpenMM::OpenMMException("SpinConvForce: `numbers` must hold one atomic number for each of the " +
                                  std::to_string(particles_.size()) + " `particles`, got " + std::to_string(numbers_.size()));
  }
  auto sorted = particles_;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    throw OpenMM::OpenMMException("SpinConvForce: `particles` must name a particle once, got " + std::to_string(*twice) + " twice");
  }
}

CommitteeDeviation SpinConvForce::getDeviationInContext(OpenMM::Context& context) const {
  return dynamic_cast<SpinConvForceImpl&>(getImplInContext(context)).deviation(getContextImpl(context));
}

double SpinConvForce::getModelSecondsInContext(OpenMM::Context& context) const {
  return dynamic_cast<SpinConvForceImpl&>(getImplInContext(context)).model_seconds();
}

std::string SpinConvForce::getEvaluatorInContext(OpenMM::Context& context) const {
  return dynamic_cast<SpinConvForceImpl&>(getImplInContext(context)).evaluator();
}

int64_t SpinConvForce::getBytesReadInContext(OpenMM::Context& context) const {
  return dynamic_cast<SpinConvForceImpl&>(getImplInContext(context)).bytes_read();
}

OpenMM::ForceImpl* SpinConvForce::createImpl() const { return new SpinConvForceImpl(*this); }

}  // namespace spinconv
