// Neighbours within a cutoff, found by vesin, as the model wants them.
// SPDX-License-Identifier: MIT
#pragma once

#include <vesin.h>

#include <array>
#include <cstdint>
#include <vector>

namespace spinconv {

using Point = std::array<double, 3>;
using Box = std::array<Point, 3>;   // a lattice vector a row

/// A full list, ordered by the receiving atom: edge e says that source()[e] = j sends to target()[e] = i along
/// vectors()[3 e ...] = x_j - x_i + shift. Its arrays are reused from call to call.
class NeighborList {
 public:
  /// Lengths in Å. With a skin pairs are kept until an atom has moved by half of it; their order, and with it the last digit of a
  /// sum over them, then depends on the past.
  explicit NeighborList(double cutoff, double skin = 0.0);
  ~NeighborList();
  NeighborList(const NeighborList&) = delete;
  NeighborList& operator=(const NeighborList&) = delete;

  /// Any box, any positions, wrapped or not; `box` is null for a free system. Throws std::runtime_error.
  void compute(const std::vector<Point>& positions, const Box* box);

  int64_t size() const { return static_cast<int64_t>(list_.length); }
  const int64_t* source() const { return source_.data(); }
  const int64_t* target() const { return target_.data(); }
  const double* vectors() const { return size() == 0 ? nullptr : list_.vectors[0]; }

 private:
  VesinOptions options_{};
  VesinNeighborList list_;
  std::vector<int64_t> source_;
  std::vector<int64_t> target_;
};

}  // namespace spinconv
