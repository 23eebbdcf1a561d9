// SPDX-License-Identifier: GPL-2.0-or-later
#include "ghost_exchange.h"

#include "comm.h"
#include "pair.h"

#include <algorithm>
#include <cstring>

namespace spinconv {

void GhostExchange::borrow(void *rows, int64_t width, bool is_float32)
{
  rows_ = rows, width_ = width, is_float32_ = is_float32;
  bytes_ = width * (is_float32 ? sizeof(float) : sizeof(double));
  size_ = numbers_in_buffer(width, is_float32);
}

void GhostExchange::to_ghosts(float *rows, int64_t width)
{
  borrow(rows, width, true);
  comm_->forward_comm(&pair_, size_);
}

void GhostExchange::to_ghosts(double *rows, int64_t width)
{
  borrow(rows, width, false);
  comm_->forward_comm(&pair_, size_);
}

void GhostExchange::from_ghosts(float *rows, int64_t width)
{
  borrow(rows, width, true);
  comm_->reverse_comm(&pair_, size_);
}

void GhostExchange::from_ghosts(double *rows, int64_t width)
{
  borrow(rows, width, false);
  comm_->reverse_comm(&pair_, size_);
}

// Of types as they may become, too: what is kept is by atom, and stays while lists do.
void GhostExchange::find_border(bool all_have_new_lists)
{
  if (all_have_new_lists)
    ask_who_has_ghosts();
  else if (nodes_.lists_are_new())
    knows_border_ = false;
  if (!knows_border_ || version_ == nodes_.version()) return;
  border_.clear();
  for (int64_t node = 0; node < nodes_.n_owned(); ++node)
    if (has_ghosts_[nodes_.atoms()[node]]) border_.push_back(static_cast<int32_t>(node));
  version_ = nodes_.version();
}

void GhostExchange::ask_who_has_ghosts()
{
  has_ghosts_.assign(nodes_.n_indices(), 0);
  is_asking_ = true;
  comm_->reverse_comm(&pair_, 1);
  is_asking_ = false;
  knows_border_ = true;
  version_ = -1;
}

/// Null for an atom that is no node: its place in the buffers holds zeros.
template <class T> T *GhostExchange::row_of(int atom) const
{
  const int node = nodes_.node_of(atom);
  return node < 0 ? nullptr : static_cast<T *>(rows_) + node * width_;
}

void GhostExchange::put(int atom, double *buffer) const
{
  const void *row = is_float32_ ? static_cast<const void *>(row_of<float>(atom)) : row_of<double>(atom);
  buffer[size_ - 1] = 0.0;    // of an odd number of float32, half of the last is not used
  if (row)
    std::memcpy(buffer, row, bytes_);
  else
    std::memset(buffer, 0, size_ * sizeof(double));
}

void GhostExchange::copy(const double *buffer, int atom) const
{
  void *row = is_float32_ ? static_cast<void *>(row_of<float>(atom)) : row_of<double>(atom);
  if (row) std::memcpy(row, buffer, bytes_);
}

template <class T> void GhostExchange::add(const double *buffer, int atom) const
{
  T *row = row_of<T>(atom);
  if (!row) return;
  const char *next = reinterpret_cast<const char *>(buffer);
  for (int64_t k = 0; k < width_; ++k, next += sizeof(T)) {
    T term;
    std::memcpy(&term, next, sizeof(T));
    row[k] += term;
  }
}

int GhostExchange::pack_forward(int n, const int *atoms, double *buffer) const
{
  for (int k = 0; k < n; ++k) put(atoms[k], buffer + static_cast<size_t>(k) * size_);
  return n * size_;
}

void GhostExchange::unpack_forward(int n, int first, const double *buffer) const
{
  for (int k = 0; k < n; ++k) copy(buffer + static_cast<size_t>(k) * size_, first + k);
}

// What all images of an atom owe goes home with the first, which LAMMPS received before the others and so sends back after them.
int GhostExchange::pack_reverse(int n, int first, double *buffer) const
{
  if (is_asking_) {
    for (int k = 0; k < n; ++k) buffer[k] = is_first_image(first + k) ? 1.0 : 0.0;
    return n;
  }
  for (int k = 0; k < n; ++k) {
    double *row = buffer + static_cast<size_t>(k) * size_;
    if (is_first_image(first + k))
      put(first + k, row);
    else
      std::fill_n(row, size_, 0.0);
  }
  return n * size_;
}

void GhostExchange::unpack_reverse(int n, const int *atoms, const double *buffer)
{
  if (is_asking_) {
    for (int k = 0; k < n; ++k)
      if (buffer[k] != 0.0) has_ghosts_[nodes_.first_image(atoms[k])] = 1;
    return;
  }
  for (int k = 0; k < n; ++k) {
    const double *row = buffer + static_cast<size_t>(k) * size_;
    is_float32_ ? add<float>(row, atoms[k]) : add<double>(row, atoms[k]);
  }
}

}    // namespace spinconv
