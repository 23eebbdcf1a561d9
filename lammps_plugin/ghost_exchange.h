// How the moments of atoms reach their ghosts on other processes, and what ghosts owe comes back: Pair's own communication, whatever
// `processors`, `comm_style` and `balance` have made of the box.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "nodes.h"
#include "spinconv/model.h"

#include <cstdint>
#include <vector>

namespace LAMMPS_NS {
class Comm;
class Pair;
}    // namespace LAMMPS_NS

namespace spinconv {

/// Rows are those of the nodes of a graph. The pair style hands LAMMPS' calls for packing on to the functions at the end.
class GhostExchange : public Exchange {
 public:
  /// `comm` is LAMMPS' own pointer: the command `comm_style` puts another object there.
  GhostExchange(LAMMPS_NS::Pair &pair, LAMMPS_NS::Comm *const &comm, const Nodes &nodes) : pair_(pair), comm_(comm), nodes_(nodes) {}

  void to_ghosts(float *rows, int64_t width) override;
  void to_ghosts(double *rows, int64_t width) override;
  void from_ghosts(float *rows, int64_t width) override;
  void from_ghosts(double *rows, int64_t width) override;
  const std::vector<int32_t> *border() const override { return knows_border_ ? &border_ : nullptr; }

  /// Before an evaluation that asks for the border. All processes must say the same of whether all have new lists: they ask each other then.
  void find_border(bool all_have_new_lists);

  /// Numbers of LAMMPS' buffers that a row takes: of float32, two share one.
  static int numbers_in_buffer(int64_t width, bool is_float32) { return static_cast<int>(is_float32 ? (width + 1) / 2 : width); }

  int pack_forward(int n, const int *atoms, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer) const;
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *atoms, const double *buffer);

 private:
  template <class T> T *row_of(int atom) const;
  void borrow(void *rows, int64_t width, bool is_float32);
  void put(int atom, double *buffer) const;
  void copy(const double *buffer, int atom) const;
  template <class T> void add(const double *buffer, int atom) const;
  bool is_first_image(int atom) const { return nodes_.first_image(atom) == atom; }
  void ask_who_has_ghosts();

  LAMMPS_NS::Pair &pair_;
  LAMMPS_NS::Comm *const &comm_;
  const Nodes &nodes_;
  void *rows_ = nullptr;    // during one call
  int64_t width_ = 0;
  size_t bytes_ = 0;    // of a row
  int size_ = 0;        // of a row in the buffers
  bool is_float32_ = false;

  bool is_asking_ = false, knows_border_ = false;
  std::vector<char> has_ghosts_;    // elsewhere, by index in LAMMPS' arrays
  std::vector<int32_t> border_;
  int64_t version_ = -1;    // of the nodes that the border is of
};

}    // namespace spinconv
