// SPDX-License-Identifier: MIT
#include "exchanges.h"

#include <algorithm>

namespace spinconv::native {

template <class T>
void Exchanges<T>::begin(const Shape& shape, const Task& task) {
  shape_ = shape;
  task_ = task;
  exchange_ = task.request->exchange;
  n_from_ghosts_ = exchange_ ? task.n_blocks + 1 : 0;
  n_to_ghosts_ = exchange_ && task.n_adjoints > 0 ? task.n_adjoints * task.n_blocks + 1 : 0;
}

template <class T>
void Exchanges<T>::copy_rows(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n_rows) const {
  for (int64_t n = 0; n < n_rows; ++n) std::copy_n(from + n * from_stride, shape_.used, to + n * to_stride);
}

template <class T>
void Exchanges<T>::moments(T* moments) {
  if (!exchange_) return;
  T* rows = rows_.fit(task_.n_nodes() * moments_width());
  copy_rows(moments, shape_.channels, rows, shape_.used, task_.n_nodes() * shape_.n_low);
  --n_from_ghosts_;
  exchange_->from_ghosts(rows, moments_width());
  copy_rows(rows, shape_.used, moments, shape_.channels, task_.graph->n_atoms * shape_.n_low);
}

template <class T>
void Exchanges<T>::sums(T* sums, std::vector<double>& walls) {
  if (!exchange_) return;
  const int64_t width = sums_width(), n_atoms = task_.graph->n_atoms, n_nodes = task_.n_nodes();
  T* rows = rows_.fit(n_nodes * width);
  copy_rows(sums, shape_.channels, rows, width, n_nodes);
  for (int64_t i = 0; i < n_nodes; ++i) rows[i * width + width - 1] = static_cast<T>(walls[i]);
  --n_from_ghosts_;
  exchange_->from_ghosts(rows, width);
  copy_rows(rows, width, sums, shape_.channels, n_atoms);
  for (int64_t i = 0; i < n_atoms; ++i) walls[i] = rows[i * width + width - 1];
}

template <class T>
void Exchanges<T>::of_sums(T* of_sums) {
  if (!exchange_) return;
  const int64_t width = sums_width(), n_atoms = task_.graph->n_atoms, channels = shape_.channels;
  T* rows = rows_.zeros(task_.n_nodes() * width);
  copy_rows(of_sums, channels, rows, width, n_atoms);
  --n_to_ghosts_;
  exchange_->to_ghosts(rows, width);
  std::fill(of_sums + n_atoms * channels, of_sums + task_.n_nodes() * channels, T(0));
  copy_rows(rows + n_atoms * width, width, of_sums + n_atoms * channels, channels, task_.graph->n_ghosts);
}

template <class T>
void Exchanges<T>::of_moments(T* of_moments) {
  if (!exchange_) return;
  const int64_t n_rows = task_.graph->n_atoms * shape_.n_low, channels = shape_.channels;
  T* rows = rows_.zeros(task_.n_nodes() * moments_width());
  copy_rows(of_moments, channels, rows, shape_.used, n_rows);
  --n_to_ghosts_;
  exchange_->to_ghosts(rows, moments_width());
  std::fill(of_moments + n_rows * channels, of_moments + task_.n_nodes() * shape_.n_low * channels, T(0));
  copy_rows(rows + n_rows * shape_.used, shape_.used, of_moments + n_rows * channels, channels, task_.graph->n_ghosts * shape_.n_low);
}

template <class T>
void Exchanges<T>::finish() {
  const int64_t n_to_ghosts = task_.n_adjoints * task_.n_blocks + 1;
  const auto zeros = [&] { return rows_.zeros(task_.n_nodes() * std::max(moments_width(), sums_width())); };   // ghosts may pass on what others have: anew each time
  for (; n_from_ghosts_ > 0; --n_from_ghosts_) exchange_->from_ghosts(zeros(), n_from_ghosts_ == 1 ? sums_width() : moments_width());
  for (; n_to_ghosts_ > 0; --n_to_ghosts_) exchange_->to_ghosts(zeros(), n_to_ghosts_ == n_to_ghosts ? sums_width() : moments_width());
}

template class Exchanges<float>;
template class Exchanges<double>;

}  // namespace spinconv::native
