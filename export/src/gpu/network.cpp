// SPDX-License-Identifier: MIT
#include "network.h"

#include "../evaluator.h"
#include "../native/ring_couplings.h"
#include "harmonic_text.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace spinconv::gpu {
namespace {

constexpr int64_t bytes_of_responses = int64_t(1) << 28;   // of atoms at a time

/// Error where the harmonics of the file are not those of the kernels.
template <class T>
void check_harmonics(const native::Parameters<T>& parameters) {
  const auto& p = parameters.polynomials;
  const double n[3] = {2.0 / 7.0, -3.0 / 7.0, 6.0 / 7.0};
  std::vector<double> monomials{1.0, n[0], n[1], n[2]}, expected(parameters.shape.n_high);
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) {
    std::vector<double> next;
    for (int32_t k = 0; k < p.level_sizes[level]; ++k, factors += 2) next.push_back(monomials[factors[0]] * monomials[factors[1]]);
    monomials = std::move(next);
  }
  harmonics_by_recursion(static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(parameters.shape.n_high)))) - 1, n, expected.data());
  for (int64_t h = 0; h < parameters.shape.n_high; ++h) {
    double y = 0.0;
    for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) y += static_cast<double>(p.coefficient[k]) * monomials[p.monomial[k]];
    if (!(std::abs(y - expected[h]) < (sizeof(T) == 4 ? 1e-4 : 1e-10)))
      throw Error("weights `constants.harmonics` must be the real harmonics of potential/spherical_harmonics.py, number " + std::to_string(h) + " is not; use `evaluator torch`");
  }
}

template <class T>
TextSettings settings_of(const Container& container, const native::DistanceTables<T>& tables, int64_t edges, bool has_double) {
  const auto n_elements = static_cast<int64_t>(container.metadata.info.elements.size());
  return {sizeof(T) == 8, has_double, edges, tables.initial().n_intervals, static_cast<double>(tables.initial().per_length), n_elements * n_elements};
}

/// One that fits a work group's memory.
int64_t tile_for(const native::Shape& shape, bool is_double, int64_t shared_memory, int64_t most_threads) {
  const auto edges = edges_of_tile(shape, is_double, shared_memory, most_threads);
  if (edges == 0)
    throw Error("a work group must have memory for 16 edges of " + std::to_string(shape.used) + " channels" + (is_double ? " in float64" : "") + ", this device has " +
                std::to_string(shared_memory) + " bytes and " + std::to_string(most_threads) + " threads; use float32 or a CPU");
  return edges;
}

template <class T>
std::string text_in(const Container& container, int64_t shared_memory) {
  const native::Parameters<T> parameters(container);
  const native::DistanceTables<T> tables(container, parameters.shape);
  const auto edges = tile_for(parameters.shape, sizeof(T) == 8, shared_memory, 1024);
  return harmonic_text(parameters.shape, native::RingCouplings(container, parameters.shape), settings_of(container, tables, edges, true));
}

std::vector<Argument> joined(std::vector<Argument> first, const std::vector<Argument>& then) {
  first.insert(first.end(), then.begin(), then.end());
  return first;
}

}  // namespace

std::string text_of(const Container& container, const std::string& dtype, int64_t shared_memory) {
  if (!native::is_for(container)) throw Error("kernels are for harmonic models of `lmax` 4 at most");
  return dtype == "float32" ? text_in<float>(container, shared_memory) : text_in<double>(container, shared_memory);
}

template <class T>
Network<T>::Network(const Container& container, Device& device)
    : device_(device), parameters_(container), tables_(container, parameters_.shape), references_(container.metadata.reference_energies), scale_(container.metadata.scale),
      average_neighbors_(container.metadata.average_neighbors), cutoff_(container.metadata.info.cutoff), n_blocks_(container.metadata.info.n_blocks),
      edges_at_once_(tile_for(parameters_.shape, sizeof(T) == 8, device.shared_memory(), device.most_threads())), weights_(device, parameters_, n_elements()),
      launcher_(device, harmonic_text(parameters_.shape, native::RingCouplings(container, parameters_.shape), settings_of(container, tables_, edges_at_once_, device.has_double()))),
      element_of_(native::places_of_elements(container)), moments_(n_blocks_) {
  check_harmonics(parameters_);
  const auto& s = parameters_.shape;
  threads_ = edges_at_once_ * s.channels / 16;
  atoms_at_once_ = std::max<int64_t>(1, std::min(bytes_of_responses, device_.largest_memory() / 4) / static_cast<int64_t>(2 * s.n_rows * s.channels * sizeof(T)));
  launcher_.write_wide(wall_, native::Numbers(container, "constants.pairs", {-1, 10}).values);
  find_alone();
}

template <class T>
void Network<T>::find_alone() {
  std::vector<int32_t> each(n_elements());
  for (int32_t n = 0; n < n_elements(); ++n) each[n] = n;
  DeviceArray<int32_t> element;
  element.write(device_, each);
  sums_.clear(device_, n_elements() * channels());
  energies_.fit(device_, n_elements());
  launch_head(n_elements(), element.get(), false);
  alone_.resize(n_elements());
  energies_.read(device_, alone_.data(), n_elements());
  std::vector<double> of_elements;
  for (int32_t n = 0; n < n_elements(); ++n) of_elements.insert(of_elements.end(), {references_[n], static_cast<double>(alone_[n])});
  launcher_.write_wide(of_elements_, of_elements);
}

// ---- the task

template <class T>
void Network<T>::compute(const DeviceEdges<T>& edges, const native::Task& task, native::Exchanges<T>& exchanges) {
  edges_ = &edges, task_ = task, exchanges_ = &exchanges;
  reserve();
  if (is_shared()) find_border();
  forward();
  if (task_.n_adjoints > 0) backward();
}

template <class T>
void Network<T>::reserve() {
  const auto& s = parameters_.shape;
  for (auto& each : moments_) each.fit(device_, n_nodes() * row());
  polynomials_.fit(device_, n_atoms() * s.n_high * channels());
  responses_.fit(device_, std::min(atoms_at_once_, n_atoms()) * 2 * s.n_rows * channels());
  sums_.fit(device_, n_nodes() * channels());
  energies_.fit(device_, n_atoms());
  walls_.fit(device_, n_nodes() * launcher_.wide_bytes());
  if (task_.n_adjoints == 0) return;
  of_sums_.fit(device_, n_nodes() * channels());
  for (int a = 0; a < task_.n_adjoints; ++a) of_moments_[a].fit(device_, n_nodes() * row());
  const int64_t n_edges = int64_t(edges_->last) + 1;
  gradients_.clear(device_, 3 * n_edges);
  if (task_.n_adjoints > 1) centroid_.clear(device_, 9 * n_edges);
}

template <class T>
T Network<T>::factor_of_moments() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }

// ---- kernels

/// The moments of the initial messages (k = -1), or of what block k adds, to `to`, with `base` times `factor_of_base`.
template <class T>
void Network<T>::receive(int64_t k, T factor, const Memory* base, T factor_of_base, int64_t n_rows, const Memory* to) {
  auto arguments = joined(edge_arguments(), {edges_->received_batches.get(), edges_->received_first.get(), edges_->received.get(),
                                             k < 0 ? weights_.first_knots() : weights_.knots(k), factor, base, factor_of_base, static_cast<int32_t>(n_rows), to});
  if (k >= 0) arguments = joined(std::move(arguments), {edges_->sender.get(), weights_.block(k), polynomials_.get()});
  launcher_.launch(k < 0 ? "receive_first" : "receive", edges_->n_received_batches, threads_, arguments);
}

/// The way back through block k, or through the initial messages (k = -1), for the energy or one of its first moments.
template <class T>
void Network<T>::send(int64_t k, int a) {
  const Memory* gradients = a == 0 ? gradients_.get() : centroid_.get();
  const int32_t width = a == 0 ? 3 : 9;
  auto arguments = joined(edge_arguments(), {edges_->target.get(), edges_->sent_batches.get(), edges_->sent_first.get(), k < 0 ? weights_.first_knots() : weights_.knots(k),
                                             factor_of_moments(), of_moments_[a].get(), a == 0 ? static_cast<const Memory*>(nullptr) : of_moments_[0].get(),
                                             static_cast<int32_t>(std::max(a - 1, 0)), gradients, width});
  if (k >= 0) arguments = joined(std::move(arguments), {edges_->sender.get(), weights_.block(k), polynomials_.get()});
  arguments.push_back(static_cast<int32_t>(a == 0 ? 0 : 3 * (a - 1)));
  launcher_.launch(k < 0 ? "send_first" : "send", edges_->n_sent_batches, threads_, arguments);
}

/// `each(first_atom, n_atoms, groups)`, of as many atoms as there is room for responses.
template <class T>
template <class Each>
void Network<T>::over_atoms(Each&& each) {
  for (int64_t first = 0; first < n_atoms(); first += atoms_at_once_) {
    const int64_t n = std::min(atoms_at_once_, n_atoms() - first);
    each(static_cast<int32_t>(first), static_cast<int32_t>(n), (n * channels() + atom_threads - 1) / atom_threads);
  }
}

template <class T>
void Network<T>::polynomials(int64_t k) {
  over_atoms([&](int32_t first, int32_t n, int64_t n_groups) {
    launcher_.launch("ring_responses", n_groups, atom_threads, {first, n, moments_[k].get(), weights_.block(k), responses_.get()});
    launcher_.launch("couple", n_groups, atom_threads, {first, n, responses_.get(), polynomials_.get()});
  });
}

/// From the derivatives by the polynomials of block k to those by its moments, which are set or added to.
template <class T>
void Network<T>::polynomials_back(int64_t k, bool adds, const Memory* to) {
  over_atoms([&](int32_t first, int32_t n, int64_t n_groups) {
    launcher_.launch("ring_responses", n_groups, atom_threads, {first, n, moments_[k].get(), weights_.block(k), responses_.get()});
    launcher_.launch("couple_back", n_groups, atom_threads, {first, n, polynomials_.get(), responses_.get()});
    launcher_.launch("ring_responses_back", n_groups, atom_threads, {first, n, responses_.get(), weights_.block(k), static_cast<int32_t>(adds), to});
  });
}

template <class T>
void Network<T>::launch_head(int64_t n, const Memory* element, bool with_gradients) {
  launcher_.launch("head", (n + edges_at_once_ - 1) / edges_at_once_, threads_,
         {static_cast<int32_t>(n), element, sums_.get(), weights_.head(), static_cast<T>(scale_), energies_.get(), with_gradients ? of_sums_.get() : nullptr});
}

// ---- forward

template <class T>
void Network<T>::forward() {
  for (int64_t k = 0; k < n_blocks_; ++k) {
    const bool goes_on = k > 1;   // block 0 has no residual: the messages after it are what it adds
    receive(k - 1, factor_of_moments(), goes_on && !is_shared() ? moments_[k - 1].get() : nullptr, T(1), parameters_.shape.n_low, moments_[k].get());
    if (is_shared()) {
      from_ghosts(moments_[k], row(), [&](T* rows) { exchanges_->moments(rows); });
      if (goes_on) launcher_.launch_by_number("add_numbers", n_atoms() * row(), {T(1), moments_[k - 1].get(), moments_[k].get()});
    }
    polynomials(k);
  }
  readout();
}

template <class T>
void Network<T>::readout() {
  const bool goes_on = n_blocks_ > 1;
  const T factor = static_cast<T>(1.0 / average_neighbors_);
  receive(n_blocks_ - 1, factor, goes_on && !is_shared() ? moments_[n_blocks_ - 1].get() : nullptr, factor_of_moments(), 1, sums_.get());
  repel(task_.n_adjoints == 1);
  if (is_shared()) {
    exchange_sums();
    if (goes_on) launcher_.launch_by_number("add_first_rows", n_atoms() * channels(), {factor_of_moments(), moments_[n_blocks_ - 1].get(), sums_.get()});
  }
  launch_head(n_atoms(), edges_->element.get(), task_.n_adjoints > 0);
}

template <class T>
void Network<T>::repel(bool with_gradients) {
  launcher_.launch_for("repel", n_nodes(), joined(edge_arguments(), {static_cast<int32_t>(n_nodes()), edges_->received_first.get(), edges_->received.get(), wall_.get(), walls_.get(),
                                                           with_gradients ? gradients_.get() : nullptr}));
}

template <class T>
void Network<T>::exchange_sums() {
  std::vector<double> walls;
  launcher_.read_wide(*walls_.get(), n_nodes(), walls);
  from_ghosts(sums_, channels(), [&](T* rows) { exchanges_->sums(rows, walls); });
  launcher_.write_wide(walls_, walls);
}

template <class T>
void Network<T>::find_border() {
  const auto* known = task_.request->exchange->border();
  std::vector<int32_t> all;
  if (known == nullptr) {
    all.resize(n_atoms());
    std::iota(all.begin(), all.end(), 0);
    known = &all;
  }
  if (*known == border_) return;
  border_ = *known;
  border_there_.write(device_, border_);
}

/// Lets processes exchange rows of ghosts, which go to the host, and adds what comes to those of their atoms.
template <class T>
void Network<T>::from_ghosts(DeviceArray<T>& array, int64_t width, const Change& change) {
  T* rows = here_.fit(device_, n_nodes() * width);
  std::fill_n(rows, n_atoms() * width, T(0));
  array.read(device_, rows + n_atoms() * width, (n_nodes() - n_atoms()) * width, n_atoms() * width);
  change(rows);
  const auto n = static_cast<int64_t>(border_.size()) * width;
  T* packed = border_here_.fit(device_, n);
  for (size_t k = 0; k < border_.size(); ++k) std::copy_n(rows + border_[k] * width, width, packed + static_cast<int64_t>(k) * width);
  border_rows_.write(device_, packed, n);
  launcher_.launch_by_number("add_rows", n, {static_cast<int32_t>(width), border_there_.get(), border_rows_.get(), array.get()});
}

/// Lets processes exchange rows of atoms that others have as ghosts, which go to the host; rows of ghosts come from there.
template <class T>
void Network<T>::to_ghosts(DeviceArray<T>& array, int64_t width, const Change& change) {
  const auto n = static_cast<int64_t>(border_.size()) * width;
  border_rows_.fit(device_, n);
  launcher_.launch_by_number("pick_rows", n, {static_cast<int32_t>(width), border_there_.get(), array.get(), border_rows_.get()});
  T *packed = border_here_.fit(device_, n), *rows = here_.fit(device_, n_nodes() * width);
  border_rows_.read(device_, packed, n);
  std::fill_n(rows, n_nodes() * width, T(0));
  for (size_t k = 0; k < border_.size(); ++k) std::copy_n(packed + static_cast<int64_t>(k) * width, width, rows + border_[k] * width);
  change(rows);
  if (n_nodes() > n_atoms()) array.write(device_, rows + n_atoms() * width, (n_nodes() - n_atoms()) * width, n_atoms() * width);
}

// ---- backward

template <class T>
void Network<T>::backward() {
  if (is_shared()) to_ghosts(of_sums_, channels(), [&](T* rows) { exchanges_->of_sums(rows); });
  for (int a = 0; a < task_.n_adjoints; ++a)
    launcher_.launch_by_number("begin_gradients", n_nodes() * row(), {factor_of_moments(), a == 0 ? of_sums_.get() : nullptr, of_moments_[a].get()});
  for (int64_t k = n_blocks_ - 1; k >= 0; --k) block_back(k);
  for (int a = task_.n_adjoints - 1; a >= 0; --a) send(-1, a);
  if (task_.n_adjoints == 1) return;
  launcher_.launch_for("about_receivers", edges_->last, {edges_->last, edges_->vectors.get(), gradients_.get(), centroid_.get()});
  repel(true);
}

/// The energy's derivatives change last, because those of its moments need them as they were.
template <class T>
void Network<T>::block_back(int64_t k) {
  for (int a = task_.n_adjoints - 1; a >= 0; --a) {
    if (k + 1 < n_blocks_ || a + 1 < task_.n_adjoints) polynomials(k);
    send(k, a);
    if (!is_shared()) {
      polynomials_back(k, k > 0, of_moments_[a].get());
      continue;
    }
    share_.fit(device_, n_nodes() * row());
    polynomials_back(k, false, share_.get());
    to_ghosts(share_, row(), [&](T* rows) { exchanges_->of_moments(rows); });
    if (k == 0) launcher_.launch_by_number("begin_gradients", n_nodes() * row(), {T(0), static_cast<const Memory*>(nullptr), of_moments_[a].get()});
    launcher_.launch_by_number("add_numbers", n_nodes() * row(), {T(1), share_.get(), of_moments_[a].get()});
  }
}

// ---- what was computed

template <class T>
void Network<T>::read_energies(const std::vector<int32_t>& element, std::vector<double>& energies) {
  std::vector<T> by_network(n_atoms());
  energies_.read(device_, by_network.data(), n_atoms());
  launcher_.read_wide(*walls_.get(), n_atoms(), energies);
  for (int64_t i = 0; i < n_atoms(); ++i) energies[i] += references_[element[i]] + scale_ * double(by_network[i] - alone_[element[i]]);
}

template <class T>
void Network<T>::launch_energies(const Memory* to) {
  launcher_.launch_for("add_up_energies", n_atoms(), {static_cast<int32_t>(n_atoms()), edges_->element.get(), of_elements_.get(), launcher_.wide(scale_), energies_.get(), walls_.get(), to});
}

template class Network<float>;
template class Network<double>;

}  // namespace spinconv::gpu
