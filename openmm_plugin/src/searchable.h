// What a search for neighbours is refused for before it begins; potential/searchable.py has the same limits and words.
// SPDX-License-Identifier: MIT
#pragma once

#include "NeighborList.h"

namespace spinconv {

/// Throws std::runtime_error unless the neighbours of `positions` within `cutoff` (Å) can be found: positions and cell are finite and small
/// enough for double precision, the cell is no dummy, the grid of the search has a cell in every direction, and the list fits into memory.
void check_searchable(const std::vector<Point>& positions, const Box* box, double cutoff);

/// What of it the cell alone says, for so many atoms.
void check_cell(const Box& box, size_t n_atoms);

}  // namespace spinconv
