// The text of the kernels for a model: its sizes as definitions, what is written out for it in straight lines, and the pages of kernels/.
// SPDX-License-Identifier: MIT
#pragma once

#include "../native/kernels.h"
#include "../native/ring_couplings.h"

#include <string>

namespace spinconv::gpu {

/// What the text of a model's kernels depends on.
struct TextSettings {
  bool is_double = false;      // what it computes in
  bool has_double = true;      // whether the device can, for the few numbers that want it
  int64_t edges = 64;          // of a tile, a multiple of 16
  int64_t n_intervals = 0;     // of the distance tables
  double per_length = 0.0;     // 1/Å, knots
  int64_t n_pairs = 0;         // of elements
};

std::string harmonic_text(const native::Shape& shape, const native::RingCouplings& couplings, const TextSettings& settings);

/// The edges of a tile for which a work group's memory suffices: 64, 32 or 16; 0 where not even these.
int64_t edges_of_tile(const native::Shape& shape, bool is_double, int64_t shared_memory, int64_t most_threads);

/// Real spherical harmonics up to a degree by the recursion that the kernels have, of a unit vector; `values` [(degree + 1)^2].
void harmonics_by_recursion(int64_t degree, const double (&n)[3], double* values);

}  // namespace spinconv::gpu
