// SPDX-License-Identifier: MIT
#include "NeighborList.h"

#include <stdexcept>
#include <string>

#include "searchable.h"

namespace spinconv {

NeighborList::NeighborList(double cutoff, double skin) {
  options_.cutoff = cutoff;
  options_.full = true;
  options_.sorted = true;
  options_.algorithm = VesinAutoAlgorithm;
  options_.skin = skin;
  options_.n_threads = 1;   // the search is under 1 % of a step
  options_.return_vectors = true;
}

NeighborList::~NeighborList() { vesin_free(&list_); }

void NeighborList::compute(const std::vector<Point>& positions, const Box* box) {
  check_searchable(positions, box, options_.cutoff + options_.skin);
  const double no_box[3][3] = {};
  const bool periodic[3] = {box != nullptr, box != nullptr, box != nullptr};
  const char* reason = nullptr;
  const int failed = vesin_neighbors(reinterpret_cast<const double(*)[3]>(positions.data()), positions.size(),
                                     box != nullptr ? reinterpret_cast<const double(*)[3]>(box->data()) : no_box, periodic,
                                     VesinDevice{VesinCPU, 0}, options_, &list_, &reason);
  if (failed != 0) throw std::runtime_error(std::string("no neighbour list: ") + (reason != nullptr ? reason : "vesin gave no reason"));

  // vesin's pairs are (i, j) with vectors from i to j, as ours are.
  source_.resize(list_.length);
  target_.resize(list_.length);
  for (size_t e = 0; e < list_.length; ++e) {
    target_[e] = static_cast<int64_t>(list_.pairs[e][0]);
    source_[e] = static_cast<int64_t>(list_.pairs[e][1]);
  }
}

}  // namespace spinconv
