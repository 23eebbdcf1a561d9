// The door between OpenMM's units and words and the model's.
// SPDX-License-Identifier: MIT
#pragma once

#include <openmm/OpenMMException.h>
#include <openmm/Vec3.h>

#include <cmath>
#include <string>

#include "NeighborList.h"

namespace spinconv {

// The energy is e * N_A, exact in the SI of 2019 (CODATA 2018), as OpenMM has it.
constexpr double kj_per_mol_per_ev = 96.4853321233100184;
constexpr double angstrom_per_nm = 10.0;

/// Runs `step`; what the reader or the standard library throws leaves as the exception that OpenMM and its Python know.
template <class Step>
auto in_openmm_words(Step&& step) -> decltype(step()) {
  try {
    return step();
  } catch (const OpenMM::OpenMMException&) {
    throw;
  } catch (const std::exception& error) {
    throw OpenMM::OpenMMException(std::string("SpinConvForce: ") + error.what());
  }
}

inline Point in_angstrom(const OpenMM::Vec3& nm) { return {nm[0] * angstrom_per_nm, nm[1] * angstrom_per_nm, nm[2] * angstrom_per_nm}; }

inline bool is_finite(const Point& point) { return std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]); }

}  // namespace spinconv
