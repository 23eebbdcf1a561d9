// Atoms on top of each other, for which a model has a number but no meaning. spinconv/potential/searchable.py has the same limits.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "spinconv/model.h"

namespace spinconv {

/// In Å: nearer, an atom is there twice. Trial steps of minimizers and of Monte Carlo come below 0.1 and must have an energy.
constexpr double closest_distance = 0.01;
/// In Å, of an atom and its own image: no trial step comes there, a wrong cell does.
constexpr double closest_image = 0.1;

/// Throws Error, which calls atoms by `name` of their index in the graph, where an edge is shorter than that. An edge between two atoms of
/// one name is from an atom to its own image.
void check_distances(const Graph& graph, const std::function<std::string(int64_t)>& name = nullptr);

}  // namespace spinconv
