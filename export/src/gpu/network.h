// The network of a harmonic model on a device: the stages of the native evaluator as kernels, from edges that are there to energies of atoms and gradients of
// edges, which stay there, with the exchanges between processes where a request has them.
//
// No number of an edge is kept but its gradient: messages are sums of what blocks add, so that moments, energies and their derivatives are sums over blocks
// too, and each is computed when it is needed, once forward and once backward. So atoms bound the system, some (N_low (2 blocks + 1) + N_high) channels
// numbers each. Sums run in a fixed order: the same bits from run to run.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "../native/exchanges.h"
#include "../native/parameters.h"
#include "device_edges.h"
#include "device_weights.h"
#include "host_array.h"
#include "launcher.h"

#include <functional>
#include <string>
#include <vector>

namespace spinconv::gpu {

/// The text of the kernels for a model, as a Network compiles it for a device with so much memory for a work group. Error for models that it is not for.
std::string text_of(const Container& container, const std::string& dtype, int64_t shared_memory);

template <class T>
class Network {
 public:
  Network(const Container& container, Device& device);

  Device& device() const { return device_; }
  Launcher& launcher() { return launcher_; }
  const native::Shape& shape() const { return parameters_.shape; }
  int64_t edges_of_tile() const { return edges_at_once_; }
  double cutoff() const { return cutoff_; }
  int32_t n_elements() const { return static_cast<int32_t>(references_.size()); }
  /// [atomic number]: the element's place in the model, -1 for one that it does not know.
  const std::vector<int32_t>& element_of() const { return element_of_; }
  /// Brings what is known of a pair of elements, sender * n_elements + receiver, to the device.
  void require(int32_t pair) { weights_.require(device_, tables_, pair); }

  /// Launches what computes energies and, as the task asks, gradients; all is done when something is read. Of the task's graph only the numbers of
  /// atoms and ghosts are read. Exchanges must have begun.
  void compute(const DeviceEdges<T>& edges, const native::Task& task, native::Exchanges<T>& exchanges);

  // ---- what was computed
  void read_energies(const std::vector<int32_t>& element, std::vector<double>& energies);   // eV, [n_atoms]
  const Memory* gradients() const { return gradients_.get(); }   // dE/dvectors, eV/Å, T [last + 1][3]
  const Memory* moments() const { return centroid_.get(); }      // as Result::centroid, eV, T [last + 1][3][3]
  /// eV, wide [n_atoms], written to `to`.
  void launch_energies(const Memory* to);

 private:
  using Change = std::function<void(T*)>;

  void find_alone();
  int64_t channels() const { return parameters_.shape.channels; }
  int64_t n_atoms() const { return edges_->n_atoms; }
  int64_t n_nodes() const { return edges_->n_nodes; }
  int64_t row() const { return parameters_.shape.n_low * channels(); }   // numbers of an atom's moments
  bool is_shared() const { return task_.request->exchange != nullptr; }
  /// Of moments; sums into atoms are so many times their first moments.
  T factor_of_moments() const;

  void reserve();
  std::vector<Argument> edge_arguments() const { return {edges_->vectors.get(), edges_->pair.get(), weights_.of_pairs(), edges_->last}; }
  void receive(int64_t k, T factor, const Memory* base, T factor_of_base, int64_t n_rows, const Memory* to);
  void send(int64_t k, int a);
  template <class Each>
  void over_atoms(Each&& each);
  void polynomials(int64_t k);
  void polynomials_back(int64_t k, bool adds, const Memory* to);
  void launch_head(int64_t n, const Memory* element, bool with_gradients);

  void forward();
  void readout();
  void repel(bool with_gradients);
  void exchange_sums();
  void find_border();
  void from_ghosts(DeviceArray<T>& array, int64_t width, const Change& change);
  void to_ghosts(DeviceArray<T>& array, int64_t width, const Change& change);

  void backward();
  void block_back(int64_t k);

  Device& device_;
  native::Parameters<T> parameters_;
  native::DistanceTables<T> tables_;
  std::vector<double> references_;
  double scale_, average_neighbors_, cutoff_;
  int64_t n_blocks_, edges_at_once_, threads_ = 0, atoms_at_once_ = 0;
  DeviceWeights<T> weights_;
  Launcher launcher_;
  std::vector<int32_t> element_of_;
  std::vector<T> alone_;               // what the network says of an atom of each element without neighbours
  DeviceArray<char> wall_, of_elements_;   // wide

  const DeviceEdges<T>* edges_ = nullptr;   // of the task
  native::Task task_;
  native::Exchanges<T>* exchanges_ = nullptr;
  std::vector<int32_t> border_;        // atoms that others may have as ghosts
  DeviceArray<int32_t> border_there_;
  HostArray<T> here_, border_here_;
  DeviceArray<T> border_rows_, polynomials_, responses_, sums_, of_sums_, energies_, gradients_, centroid_, share_, of_moments_[4];   // of the energy, of its first moments
  std::vector<DeviceArray<T>> moments_;   // of every block
  DeviceArray<char> walls_;               // wide
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace spinconv::gpu
