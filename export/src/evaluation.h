// The evaluation of a model by stages: energies forward, gradients backward, with exchanges between processes and edges in chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include "equations.h"

#include "spinconv/model.h"

#include <torch/script.h>

namespace spinconv {

/// The stages of a model as functions, and the arithmetic they run in.
struct Stages {
  Equations equations;
  int64_t n_blocks = 0;
  int64_t n_moments = 0;   // numbers per atom that pass between processes: of moments, and of sums
  int64_t n_sums = 0;
  c10::Device device = c10::Device(c10::kCPU);
  c10::ScalarType dtype = torch::kFloat64;
};

/// Finds n_moments and n_sums by calling the stages for no edges and an atom of an `element`; weights of other shapes fail here.
void measure(Stages& stages, int64_t element);

/// See Model::evaluate. A failure leaves no other process waiting: it is thrown after all exchanges were made.
void evaluate_by_stages(const Stages& stages, const Graph& graph, const Request& request, Result& result);

}  // namespace spinconv
