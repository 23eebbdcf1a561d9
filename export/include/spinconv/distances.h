// Atoms on top of each other, for which a model has a number but no meaning. spinconv/potential/graph.py has the same limit.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "spinconv/model.h"

namespace spinconv {

/// In Å: no two atoms of any matter are nearer, and no atom is to an image of itself. OpenMM's minimizer brings some to 0.12 and recovers.
constexpr double closest_distance = 0.1;

/// Throws Error, which calls atoms by `name` of their index in the graph, where an edge is shorter than closest_distance.
void check_distances(const Graph& graph, const std::function<std::string(int64_t)>& name = nullptr);

}  // namespace spinconv
