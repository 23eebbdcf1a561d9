// SPDX-License-Identifier: MIT
#include "edge_search.h"

#include "spinconv/distances.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace spinconv::gpu {
namespace {

constexpr double margin = 1.001;           // of a cell beyond the cutoff, for what rounding moves to the next
constexpr int64_t numbers_of_tile = 1024;  // sum_before
constexpr int64_t atoms_in_a_row = 64;     // ATOMS_IN_A_ROW
constexpr int32_t most_cells = 1024, least_open_cells = 3;   // along a direction; of one that is not periodic, so that a cell is met once
constexpr int n_sizes = 6;                 // what tell_sizes has, the flags before it

Vector cross(const Vector& a, const Vector& b) { return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
double length(const Vector& a) { return std::sqrt(dot(a, a)); }
Vector scaled(double factor, const Vector& a) { return {factor * a[0], factor * a[1], factor * a[2]}; }

/// Of length 1, across both, or across `a` where `b` is null.
Vector across(const Vector& a, const Vector* b) {
  Vector other{};
  if (b == nullptr) other[std::abs(a[0]) < std::abs(a[1]) ? 0 : 1] = 1.0;
  const auto found = cross(a, b == nullptr ? other : *b);
  return scaled(1.0 / length(found), found);
}

/// With vectors across the others in place of those that are not periodic.
std::array<Vector, 3> completed(std::array<Vector, 3> cell, const std::array<bool, 3>& periodic) {
  const auto n = std::count(periodic.begin(), periodic.end(), true);
  if (n == 0) return {{{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}};
  for (int k = 0; k < 3; ++k) {
    const int next = (k + 1) % 3, last = (k + 2) % 3;
    if (n == 2 && !periodic[k]) cell[k] = across(cell[next], &cell[last]);
    if (n == 1 && periodic[k]) cell[next] = across(cell[k], nullptr), cell[last] = across(cell[k], &cell[next]);
  }
  return cell;
}

}  // namespace

template <class T>
void EdgeSearch<T>::set_candidates(const Candidates& candidates, int64_t n_atoms) {
  is_among_candidates_ = true;
  nodes_.write(device_, candidates.node, candidates.n_rows);
  own_rows_.write(device_, candidates.row, n_atoms);
  first_row_.write(device_, candidates.first, n_atoms + 1);
  rows_.write(device_, candidates.rows, candidates.first[n_atoms]);
}

template <class T>
void EdgeSearch<T>::set_cell(const std::array<Vector, 3>& cell, const std::array<bool, 3>& periodic) {
  is_among_candidates_ = false;
  const auto whole = completed(cell, periodic);
  if (n_laid_for_ >= 0 && whole == cell_ && periodic == periodic_) return;
  const auto volume = dot(whole[0], cross(whole[1], whole[2]));
  if (!(std::abs(volume) > 1e-12 * length(whole[0]) * length(whole[1]) * length(whole[2])))
    throw Error("the lattice vectors of periodic directions must span a volume, got " + std::to_string(volume) + " Å^3");
  cell_ = whole, periodic_ = periodic, n_laid_for_ = -1;
  for (int k = 0; k < 3; ++k) inverse_[k] = scaled(1.0 / volume, cross(whole[(k + 1) % 3], whole[(k + 2) % 3]));
}

template <class T>
typename EdgeSearch<T>::Grid EdgeSearch<T>::grid_for(int64_t n_atoms) const {
  const double width = margin * network_.cutoff();
  Grid grid;
  const auto open_cells = static_cast<int32_t>(std::cbrt(static_cast<double>(n_atoms))) + least_open_cells;
  for (int k = 0; k < 3; ++k) {
    grid.cells[k] = 1.0 / length(inverse_[k]) / width;
    grid.n[k] = periodic_[k] ? static_cast<int32_t>(std::clamp(std::floor(grid.cells[k]), 1.0, double(most_cells))) : std::min(open_cells, most_cells);
  }
  while (grid.total() > std::max<int64_t>(4 * n_atoms, 64)) {   // of a box that is nearly empty
    const auto largest = std::max_element(grid.n.begin(), grid.n.end());
    if (*largest <= least_open_cells) break;
    *largest = std::max(*largest / 2, least_open_cells);
  }
  for (int k = 0; k < 3; ++k) {
    grid.reach[k] = periodic_[k] ? static_cast<int32_t>(std::ceil(grid.n[k] / grid.cells[k])) : 1;
    if (periodic_[k]) grid.cells[k] = grid.n[k];
  }
  return grid;
}

template <class T>
void EdgeSearch<T>::lay_grid(int64_t n_atoms) {
  if (n_laid_for_ == n_atoms) return;
  const auto grid = grid_for(n_atoms);
  std::vector<double> box;
  for (const auto* vectors : {&cell_, &inverse_})
    for (const auto& vector : *vectors) box.insert(box.end(), vector.begin(), vector.end());
  box.insert(box.end(), grid.cells.begin(), grid.cells.end());
  launcher_.write_wide(box_, box);
  std::vector<int32_t> numbers(grid.n.begin(), grid.n.end());
  numbers.insert(numbers.end(), grid.reach.begin(), grid.reach.end());
  numbers.insert(numbers.end(), periodic_.begin(), periodic_.end());
  grid_.write(device_, numbers);
  n_cells_ = grid.total();
  n_laid_for_ = n_atoms;
}

/// first[k] becomes the sum of the numbers before k, each made a multiple.
template <class T>
void EdgeSearch<T>::sum_before(const Memory* numbers, int64_t n, int32_t multiple, const Memory* first, size_t level) {
  if (levels_.size() <= level) levels_.resize(level + 1);
  const int64_t n_tiles = (n + numbers_of_tile - 1) / numbers_of_tile;
  levels_[level].sums.fit(device_, n_tiles);
  launcher_.launch("sum_before", n_tiles, atom_threads, {static_cast<int32_t>(n), multiple, numbers, first, levels_[level].sums.get()});
  if (n_tiles == 1) return;
  levels_[level].before.fit(device_, n_tiles);
  sum_before(levels_[level].sums.get(), n_tiles, 1, levels_[level].before.get(), level + 1);
  launcher_.launch_for("add_before", n, {static_cast<int32_t>(n), levels_[level].before.get(), first});
}

template <class T>
void EdgeSearch<T>::fill_cells(const Memory* positions, int64_t n_atoms) {
  lay_grid(n_atoms);
  const auto n = static_cast<int32_t>(n_atoms);
  wrapped_.fit(device_, 3 * n_atoms * launcher_.wide_bytes());
  in_cells_.fit(device_, 3 * n_atoms * launcher_.wide_bytes());
  for (auto* array : {&cells_, &unordered_, &atoms_}) array->fit(device_, n_atoms);
  counts_.clear(device_, n_cells_ + 1);
  first_in_cell_.fit(device_, n_cells_ + 1);
  launcher_.launch_for("put_into_cells", n, {n, positions, box_.get(), grid_.get(), wrapped_.get(), cells_.get(), counts_.get(), sizes_.get()});
  sum_before(counts_.get(), n_cells_ + 1, 1, first_in_cell_.get());
  launcher_.launch_for("list_by_cell", n, {n, cells_.get(), first_in_cell_.get(), counts_.get(), unordered_.get()});
  launcher_.launch_for("order_cells", n, {n, cells_.get(), first_in_cell_.get(), unordered_.get(), wrapped_.get(), atoms_.get(), in_cells_.get()});
}

template <class T>
void EdgeSearch<T>::launch_find(const Memory* positions, const DeviceEdges<T>& edges, bool counts) {
  const auto n = static_cast<int32_t>(edges.n_atoms);
  std::vector<Argument> arguments = {n};
  if (is_among_candidates_) arguments.insert(arguments.end(), {positions, own_rows_.get(), nodes_.get(), first_row_.get(), rows_.get()});
  else arguments.insert(arguments.end(), {wrapped_.get(), box_.get(), grid_.get(), cells_.get(), first_in_cell_.get(), atoms_.get(), in_cells_.get()});
  arguments.insert(arguments.end(), {edges.element.get(), network_.n_elements(), launcher_.wide(network_.cutoff()), launcher_.wide(closest_distance), launcher_.wide(closest_image),
                                     sent_.get(), received_.get(), sizes_.get(), edges.sent_first.get()});
  if (counts) arguments.insert(arguments.end(), 4, Argument(static_cast<const Memory*>(nullptr)));
  else arguments.insert(arguments.end(), {edges.vectors.get(), edges.sender.get(), edges.target.get(), edges.pair.get()});
  launcher_.launch_for(is_among_candidates_ ? "find_among" : "find_by_cells", n + 1, arguments);
}

/// Launches; how many stretches of atoms count for themselves.
template <class T>
int64_t EdgeSearch<T>::count_batches(const Memory* first, int64_t n, DeviceArray<int32_t>& places) {
  const int64_t n_stretches = (n + atoms_in_a_row - 1) / atoms_in_a_row;
  stretches_.clear(device_, n_stretches + 1);
  places.fit(device_, n_stretches + 1);
  launcher_.launch_for("divide", n_stretches, {static_cast<int32_t>(n), first, stretches_.get(), static_cast<const Memory*>(nullptr), static_cast<const Memory*>(nullptr)});
  sum_before(stretches_.get(), n_stretches + 1, 1, places.get());
  return n_stretches;
}

template <class T>
void EdgeSearch<T>::write_batches(const Memory* first, int64_t n, const DeviceArray<int32_t>& places, const Memory* batches) {
  launcher_.launch_for("divide", (n + atoms_in_a_row - 1) / atoms_in_a_row, {static_cast<int32_t>(n), first, static_cast<const Memory*>(nullptr), places.get(), batches});
}

template <class T>
void EdgeSearch<T>::write_received(DeviceEdges<T>& edges, int64_t n_places) {
  edges.received.fit(device_, n_places);
  unordered_.fit(device_, n_places);
  const auto n = static_cast<int32_t>(n_places);
  for (const auto* array : {&edges.received, &unordered_}) launcher_.launch_for("set_numbers", n, {n, edges.last, array->get()});
  const auto cutoff = launcher_.wide(network_.cutoff());
  launcher_.launch_for("list_received", edges.last, {edges.last, cutoff, edges.vectors.get(), edges.target.get(), edges.received_first.get(), received_.get(), unordered_.get()});
  launcher_.launch_for("order_received", edges.last, {edges.last, cutoff, edges.vectors.get(), edges.target.get(), edges.received_first.get(), unordered_.get(), edges.received.get()});
}

template <class T>
typename EdgeSearch<T>::Found EdgeSearch<T>::find(const Memory* positions, DeviceEdges<T>& edges) {
  sizes_.clear(device_, n_sizes);
  sent_.clear(device_, edges.n_atoms + 1);
  received_.clear(device_, edges.n_nodes + 1);
  edges.sent_first.fit(device_, edges.n_atoms + 1);
  edges.received_first.fit(device_, edges.n_nodes + 1);
  if (!is_among_candidates_) fill_cells(positions, edges.n_atoms);
  launch_find(positions, edges, true);
  sum_before(sent_.get(), edges.n_atoms + 1, 4, edges.sent_first.get());
  sum_before(received_.get(), edges.n_nodes + 1, 4, edges.received_first.get());
  const auto of_sent = static_cast<int32_t>(count_batches(edges.sent_first.get(), edges.n_atoms, sent_places_));
  const auto of_received = static_cast<int32_t>(count_batches(edges.received_first.get(), edges.n_nodes, received_places_));
  launcher_.launch("tell_sizes", 1, 1, {static_cast<int32_t>(edges.n_atoms), static_cast<int32_t>(edges.n_nodes), edges.sent_first.get(), edges.received_first.get(), of_sent,
                                       sent_places_.get(), of_received, received_places_.get(), sizes_.get()});
  int32_t sizes[n_sizes];
  sizes_.read(device_, sizes, n_sizes);
  const Found found{sizes[0] != 0, int64_t(sizes[1]) - 1};
  if (found.lost >= 0) return found;
  if (std::max(sizes[2], sizes[3]) >= std::numeric_limits<int32_t>::max() - atom_threads)
    throw Error("there are more edges than kernels can number (2^31); use several processes");

  edges.last = sizes[2], edges.n_sent_batches = sizes[4], edges.n_received_batches = sizes[5];
  const int64_t n_edges = int64_t(edges.last) + 1;
  edges.vectors.fit(device_, 3 * n_edges);
  for (auto* array : {&edges.sender, &edges.target, &edges.pair}) array->fit(device_, n_edges);
  edges.sent_batches.fit(device_, edges.n_sent_batches + 1);
  edges.received_batches.fit(device_, edges.n_received_batches + 1);
  launch_find(positions, edges, false);
  write_batches(edges.sent_first.get(), edges.n_atoms, sent_places_, edges.sent_batches.get());
  write_batches(edges.received_first.get(), edges.n_nodes, received_places_, edges.received_batches.get());
  write_received(edges, sizes[3]);
  return found;
}

template class EdgeSearch<float>;
template class EdgeSearch<double>;

}  // namespace spinconv::gpu
