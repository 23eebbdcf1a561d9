// Finds edges on the device, from positions that are there: by cells, in any cell and along any periodic directions, or among candidates that an engine has
// listed. What comes to the host is how many there are.
// SPDX-License-Identifier: MIT
#pragma once

#include "network.h"

#include "spinconv/on_device.h"

#include <array>
#include <vector>

namespace spinconv::gpu {

using Vector = std::array<double, 3>;

template <class T>
class EdgeSearch {
 public:
  explicit EdgeSearch(Network<T>& network) : network_(network), device_(network.device()), launcher_(network.launcher()) {}

  /// See OnDevice.
  void set_candidates(const Candidates& candidates, int64_t n_atoms);
  void set_cell(const std::array<Vector, 3>& cell, const std::array<bool, 3>& periodic);
  bool is_among_candidates() const { return is_among_candidates_; }

  struct Found {
    bool are_too_close = false;   // some atoms (distances.h)
    int64_t lost = -1;            // an atom whose position is no number
  };
  /// Fills `edges`, whose elements and numbers of atoms are there, from `positions`, wide [rows][3]. Error where there are more than can be numbered.
  Found find(const Memory* positions, DeviceEdges<T>& edges);

 private:
  struct Grid {
    std::array<int32_t, 3> n, reach;
    std::array<double, 3> cells;   // along each vector in all its length
    int64_t total() const { return int64_t(n[0]) * n[1] * n[2]; }
  };

  Grid grid_for(int64_t n_atoms) const;
  void lay_grid(int64_t n_atoms);
  void fill_cells(const Memory* positions, int64_t n_atoms);
  void launch_find(const Memory* positions, const DeviceEdges<T>& edges, bool counts);
  void sum_before(const Memory* numbers, int64_t n, int32_t multiple, const Memory* first, size_t level = 0);
  int64_t count_batches(const Memory* first, int64_t n, DeviceArray<int32_t>& places);
  void write_batches(const Memory* first, int64_t n, const DeviceArray<int32_t>& places, const Memory* batches);
  void write_received(DeviceEdges<T>& edges, int64_t n_places);

  Network<T>& network_;
  Device& device_;
  Launcher& launcher_;

  bool is_among_candidates_ = false;
  DeviceArray<int32_t> nodes_, own_rows_, first_row_, rows_;   // candidates

  std::array<Vector, 3> cell_{}, inverse_{};
  std::array<bool, 3> periodic_{};
  int64_t n_laid_for_ = -1, n_cells_ = 0;   // atoms that the grid on the device is for
  DeviceArray<char> box_, wrapped_, in_cells_;   // wide
  DeviceArray<int32_t> grid_, cells_, counts_, first_in_cell_, unordered_, atoms_;

  DeviceArray<int32_t> sent_, received_, stretches_, sent_places_, received_places_, sizes_;
  struct Level {
    DeviceArray<int32_t> sums, before;
  };
  std::vector<Level> levels_;
};

extern template class EdgeSearch<float>;
extern template class EdgeSearch<double>;

}  // namespace spinconv::gpu
