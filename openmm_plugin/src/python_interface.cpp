// What Python calls by ctypes, because OpenMM's own wrapper does not know SpinConvForce.
// SPDX-License-Identifier: MIT
#include <openmm/Context.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "SpinConvForce.h"
#include "Warning.h"

extern "C" {

/// Who hears warnings in place of std::cerr; nullptr for that again. See Warning.h.
void spinconv_set_warning_handler(spinconv::WarningHandler handler) { spinconv::set_warning_handler(handler); }

/// Number of particles that a force acts on if it is a SpinConvForce that names them or acts on all, else -1.
int spinconv_n_atoms(OpenMM::Force* force) {
  const auto* ours = dynamic_cast<spinconv::SpinConvForce*>(force);
  return ours == nullptr ? -1 : static_cast<int>(ours->getNumbers().size());
}

/// Fills `energy` (kJ/mol) and `forces` (kJ/mol/nm, a number an atom); see CommitteeDeviation. Returns nullptr, or what is wrong.
const char* spinconv_deviation(OpenMM::Force* force, OpenMM::Context* context, double* energy, double* forces) {
  static thread_local std::string trouble;
  try {
    const auto deviation = dynamic_cast<spinconv::SpinConvForce&>(*force).getDeviationInContext(*context);
    *energy = deviation.energy;
    std::copy(deviation.forces.begin(), deviation.forces.end(), forces);
    return nullptr;
  } catch (const std::exception& error) {
    trouble = error.what();
    return trouble.c_str();
  }
}

/// What evaluates the models of a SpinConvForce in a Context; nullptr where it has no such Context.
const char* spinconv_evaluator_in_context(OpenMM::Force* force, OpenMM::Context* context) {
  static thread_local std::string words;
  try {
    words = dynamic_cast<spinconv::SpinConvForce&>(*force).getEvaluatorInContext(*context);
    return words.c_str();
  } catch (const std::exception&) {
    return nullptr;
  }
}

/// Bytes that a SpinConvForce which is computed in the arrays of a Context has taken to the host; negative where it has no such Context.
int64_t spinconv_bytes_read(OpenMM::Force* force, OpenMM::Context* context) {
  try {
    return dynamic_cast<spinconv::SpinConvForce&>(*force).getBytesReadInContext(*context);
  } catch (const std::exception&) {
    return -1;
  }
}

/// Wall time (s) that the models of a SpinConvForce have taken in a Context; negative where it has no such Context.
double spinconv_model_seconds(OpenMM::Force* force, OpenMM::Context* context) {
  try {
    return dynamic_cast<spinconv::SpinConvForce&>(*force).getModelSecondsInContext(*context);
  } catch (const std::exception&) {
    return -1.0;
  }
}

}  // extern "C"
