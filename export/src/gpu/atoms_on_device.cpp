// SPDX-License-Identifier: MIT
#include "atoms_on_device.h"

#include "spinconv/distances.h"
#include "spinconv/elements.h"

#include <algorithm>
#include <set>
#include <string>

namespace spinconv::gpu {

template <class T>
AtomsOnDevice<T>::AtomsOnDevice(Network<T>& network, const ModelInfo& info)
    : network_(network), device_(network.device()), launcher_(network.launcher()), search_(network), n_blocks_(info.n_blocks), knows_training_(!info.shortest_distances.empty()) {
  search_.set_cell({}, {false, false, false});
  if (!knows_training_) return;
  std::vector<double> squared;
  for (const double distance : info.shortest_distances) squared.push_back(distance * distance);
  launcher_.write_wide(shortest_, squared);
  neighbors_.write(device_, std::vector<int32_t>(info.neighbor_range.begin(), info.neighbor_range.end()));
}

// ---- what is given

template <class T>
void AtomsOnDevice<T>::set_atoms(int64_t n_atoms, int64_t n_ghosts, const int64_t* numbers) {
  const int64_t n = n_atoms + n_ghosts;
  if (n_atoms == edges_.n_atoms && n == edges_.n_nodes && std::equal(numbers, numbers + n, numbers_.begin(), numbers_.end())) return;
  const auto& known = network_.element_of();
  std::vector<int32_t> element(n);
  for (int64_t i = 0; i < n; ++i) {
    element[i] = numbers[i] >= 0 && numbers[i] < static_cast<int64_t>(known.size()) ? known[numbers[i]] : -1;
    if (element[i] < 0) throw Error("the model does not know element " + symbol_of(numbers[i]) + " (of atom " + std::to_string(i) + ", counted from 0)");
  }
  numbers_.clear(), edges_.n_atoms = edges_.n_nodes = 0;   // until all is there
  element_ = std::move(element);
  edges_.element.write(device_, element_);
  const std::set<int32_t> present(element_.begin(), element_.end());
  for (const auto sender : present)
    for (const auto receiver : present) network_.require(sender * network_.n_elements() + receiver);
  numbers_.assign(numbers, numbers + n);
  edges_.n_atoms = n_atoms, edges_.n_nodes = n;
}

template <class T>
void AtomsOnDevice<T>::set_candidates(const Candidates& candidates) {
  search_.set_candidates(candidates, edges_.n_atoms);
  n_rows_ = candidates.n_rows;
}

template <class T>
const Memory& AtomsOnDevice<T>::positions() {
  positions_.fit(device_, std::max<int64_t>(3 * n_rows(), 1) * launcher_.wide_bytes());
  return *positions_.get();
}

template <class T>
void AtomsOnDevice<T>::write_positions(const double* positions, double unit) {
  launcher_.write_wide(positions_, positions, 3 * n_rows(), unit);
}

// ---- the work

/// The network and the exchanges want of a graph how many atoms and ghosts it has.
template <class T>
native::Task AtomsOnDevice<T>::task_of(const Graph& graph, const Request& request) const {
  return {&graph, &request, nullptr, n_blocks_, native::n_adjoints_of(request)};
}

template <class T>
void AtomsOnDevice<T>::take_part(int64_t n_atoms, int64_t n_ghosts, const Request& request) {
  Graph graph;
  graph.n_atoms = n_atoms, graph.n_ghosts = n_ghosts;
  exchanges_.during(network_.shape(), task_of(graph, request), [] {});
}

template <class T>
void AtomsOnDevice<T>::evaluate(const Request& request) {
  Graph graph;
  graph.n_atoms = edges_.n_atoms, graph.n_ghosts = edges_.n_nodes - edges_.n_atoms;
  const auto task = task_of(graph, request);
  exchanges_.during(network_.shape(), task, [&] { run(request, task); });
}

template <class T>
void AtomsOnDevice<T>::run(const Request& request, const native::Task& task) {
  if (edges_.n_atoms == 0) {
    forces_.clear(device_, std::max<int64_t>(3 * edges_.n_nodes, 1) * launcher_.wide_bytes());
    return;
  }
  const auto found = search_.find(&positions(), edges_);
  if (found.lost >= 0) {
    throw Error("the position of atom " + (request.name ? request.name(found.lost) : std::to_string(found.lost)) +
                " is not a number; the simulation went astray before this step (time step too long?)");
  }
  if (found.are_too_close) check_distances(read_graph(), request.name);
  network_.compute(edges_, task, exchanges_);
  if (task.n_adjoints > 0) add_up("add_up_forces", 3, {network_.gradients()}, forces_);
}

template <class T>
std::vector<Argument> AtomsOnDevice<T>::numbers_and_lists() const {
  return {static_cast<int32_t>(edges_.n_atoms), static_cast<int32_t>(edges_.n_nodes), edges_.sent_first.get(), edges_.received_first.get(), edges_.received.get()};
}

template <class T>
void AtomsOnDevice<T>::add_up(const char* kernel, int64_t width, const std::vector<Argument>& more, DeviceArray<char>& to) {
  to.fit(device_, width * edges_.n_nodes * launcher_.wide_bytes());
  auto arguments = numbers_and_lists();
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.push_back(to.get());
  launcher_.launch_for(kernel, edges_.n_nodes, arguments);
}

// ---- what comes of it

template <class T>
const Memory& AtomsOnDevice<T>::energies() {
  energies_.fit(device_, std::max<int64_t>(edges_.n_atoms, 1) * launcher_.wide_bytes());
  if (edges_.n_atoms > 0) network_.launch_energies(energies_.get());
  return *energies_.get();
}

template <class T>
double AtomsOnDevice<T>::read_energy() {
  std::vector<double> energies;
  read_energies(energies);
  double sum = 0.0;
  for (const double energy : energies) sum += energy;
  return sum;
}

template <class T>
void AtomsOnDevice<T>::read_energies(std::vector<double>& energies) {
  energies.clear();
  if (edges_.n_atoms > 0) network_.read_energies(element_, energies);
}

template <class T>
void AtomsOnDevice<T>::read_forces(std::vector<double>& forces) { launcher_.read_wide(*forces_.get(), 3 * edges_.n_nodes, forces); }

template <class T>
void AtomsOnDevice<T>::add_up_virials() { add_up("add_up_virials", 6, {edges_.vectors.get(), network_.gradients()}, virials_); }

template <class T>
std::array<double, 6> AtomsOnDevice<T>::read_virial() {
  std::array<double, 6> virial{};
  if (edges_.n_atoms == 0) return virial;
  add_up_virials();
  const int64_t n_groups = (edges_.n_nodes + atom_threads - 1) / atom_threads;
  sums_.fit(device_, 6 * n_groups * launcher_.wide_bytes());
  launcher_.launch_for("add_up_rows", edges_.n_nodes, {static_cast<int32_t>(edges_.n_nodes), int32_t{6}, virials_.get(), sums_.get()});
  std::vector<double> sums;
  launcher_.read_wide(*sums_.get(), 6 * n_groups, sums);
  for (size_t k = 0; k < sums.size(); ++k) virial[k % 6] += sums[k];
  return virial;
}

template <class T>
void AtomsOnDevice<T>::read_virials(std::vector<double>& virials) {
  virials.assign(6 * edges_.n_nodes, 0.0);
  if (edges_.n_atoms == 0) return;
  add_up_virials();
  launcher_.read_wide(*virials_.get(), 6 * edges_.n_nodes, virials);
}

template <class T>
void AtomsOnDevice<T>::read_centroid_virials(std::vector<double>& virials) {
  virials.assign(9 * edges_.n_nodes, 0.0);
  if (edges_.n_atoms == 0) return;
  add_up("add_up_centroid_virials", 9, {edges_.vectors.get(), network_.gradients(), network_.moments()}, virials_);
  launcher_.read_wide(*virials_.get(), 9 * edges_.n_nodes, virials);
}

template <class T>
int64_t AtomsOnDevice<T>::count_outside() {
  if (!knows_training_ || edges_.n_atoms == 0) return 0;
  outside_.fit(device_, edges_.n_atoms);
  n_outside_.clear(device_, 1);
  launcher_.launch_for("look_outside", edges_.n_atoms, {static_cast<int32_t>(edges_.n_atoms), launcher_.wide(network_.cutoff()), edges_.sent_first.get(), edges_.vectors.get(),
                                                       edges_.pair.get(), edges_.element.get(), shortest_.get(), neighbors_.get(), outside_.get(), n_outside_.get()});
  int32_t n = 0;
  n_outside_.read(device_, &n, 1);
  return n;
}

template <class T>
int64_t AtomsOnDevice<T>::read_outside(std::vector<char>& outside) {
  outside.assign(edges_.n_atoms, 0);
  const auto n = count_outside();
  if (n == 0) return n;
  std::vector<int32_t> here(edges_.n_atoms);
  outside_.read(device_, here.data(), edges_.n_atoms);
  std::copy(here.begin(), here.end(), outside.begin());
  return n;
}

template <class T>
Graph AtomsOnDevice<T>::read_graph() {
  const int64_t last = edges_.n_atoms > 0 ? edges_.last : 0;   // without atoms, what is there is of others before
  std::vector<int32_t> sender(last), target(last);
  std::vector<T> vectors(3 * static_cast<size_t>(last));
  source_here_.clear(), target_here_.clear(), vectors_here_.clear();
  edges_.sender.read(device_, sender.data(), last);
  edges_.target.read(device_, target.data(), last);
  edges_.vectors.read(device_, vectors.data(), 3 * last);
  for (size_t e = 0; e < sender.size(); ++e) {
    if (vectors[3 * e] > 1.5 * network_.cutoff()) continue;   // stands between
    source_here_.push_back(sender[e]), target_here_.push_back(target[e]);
    vectors_here_.insert(vectors_here_.end(), vectors.begin() + 3 * static_cast<int64_t>(e), vectors.begin() + 3 * static_cast<int64_t>(e) + 3);
  }
  Graph graph;
  graph.n_atoms = edges_.n_atoms, graph.n_ghosts = edges_.n_nodes - edges_.n_atoms, graph.numbers = numbers_.data();
  graph.n_edges = static_cast<int64_t>(source_here_.size());
  graph.source = source_here_.data(), graph.target = target_here_.data(), graph.vectors = vectors_here_.data();
  return graph;
}

template class AtomsOnDevice<float>;
template class AtomsOnDevice<double>;

}  // namespace spinconv::gpu
