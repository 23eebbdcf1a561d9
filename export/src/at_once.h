// The evaluation of a model whose kind has no stages: all of its energies at once, on one process.
// SPDX-License-Identifier: MIT
#pragma once

#include "evaluation.h"

namespace spinconv {

/// Runs an atom of an `element` alone; weights of other shapes fail here.
void try_at_once(const Stages& stages, int64_t element, bool direct_forces);

/// See Model::evaluate. `chunk` bounds nothing here; Error for ghosts, and for the centroid, which only stages give.
void evaluate_at_once(const Stages& stages, const Graph& graph, const Request& request, bool direct_forces, Result& result);

}  // namespace spinconv
