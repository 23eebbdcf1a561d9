// How the moments of atoms reach their ghosts on other processes, and what ghosts owe comes back: Pair's own communication, whatever
// `processors`, `comm_style` and `balance` have made of the box.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "neighbor_graph.h"
#include "spinconv/model.h"

#include <cstdint>

namespace LAMMPS_NS {
class Comm;
class Pair;
}    // namespace LAMMPS_NS

namespace spinconv {

/// Rows are those of the nodes of a graph. The pair style hands LAMMPS' calls for packing on to the functions at the end.
class GhostExchange : public Exchange {
 public:
  /// `comm` is LAMMPS' own pointer: the command `comm_style` puts another object there.
  GhostExchange(LAMMPS_NS::Pair &pair, LAMMPS_NS::Comm *const &comm, const NeighborGraph &graph) : pair_(pair), comm_(comm), graph_(graph) {}

  void to_ghosts(float *rows, int64_t width) override;
  void to_ghosts(double *rows, int64_t width) override;
  void from_ghosts(float *rows, int64_t width) override;
  void from_ghosts(double *rows, int64_t width) override;

  /// Numbers of LAMMPS' buffers that a row takes: of float32, two share one.
  static int numbers_in_buffer(int64_t width, bool is_float32) { return static_cast<int>(is_float32 ? (width + 1) / 2 : width); }

  int pack_forward(int n, const int *atoms, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer) const;
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *atoms, const double *buffer) const;

 private:
  template <class T> T *row_of(int atom) const;
  void borrow(void *rows, int64_t width, bool is_float32);
  void put(int atom, double *buffer) const;
  void copy(const double *buffer, int atom) const;
  template <class T> void add(const double *buffer, int atom) const;

  LAMMPS_NS::Pair &pair_;
  LAMMPS_NS::Comm *const &comm_;
  const NeighborGraph &graph_;
  void *rows_ = nullptr;    // during one call
  int64_t width_ = 0;
  size_t bytes_ = 0;    // of a row
  int size_ = 0;        // of a row in the buffers
  bool is_float32_ = false;
};

}    // namespace spinconv
