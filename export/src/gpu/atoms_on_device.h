// Atoms whose positions and forces stay on the device: edges are found there (edge_search.h), the network computes, and what engines want is added up.
// SPDX-License-Identifier: MIT
#pragma once

#include "edge_search.h"
#include "network.h"

#include "spinconv/on_device.h"

#include <vector>

namespace spinconv::gpu {

template <class T>
class AtomsOnDevice : public OnDevice {
 public:
  AtomsOnDevice(Network<T>& network, const ModelInfo& info);

  Device& device() override { return device_; }
  bool has_double() const override { return device_.has_double(); }
  void set_atoms(int64_t n_atoms, int64_t n_ghosts, const int64_t* numbers) override;
  void set_candidates(const Candidates& candidates) override;
  void set_cell(const std::array<std::array<double, 3>, 3>& cell, const std::array<bool, 3>& periodic) override { search_.set_cell(cell, periodic); }
  const Memory& positions() override;
  void write_positions(const double* positions, double unit) override;
  void evaluate(const Request& request) override;
  void take_part(int64_t n_atoms, int64_t n_ghosts, const Request& request) override;
  const Memory& energies() override;
  const Memory& forces() override { return *forces_.get(); }
  double read_energy() override;
  void read_energies(std::vector<double>& energies) override;
  void read_forces(std::vector<double>& forces) override;
  std::array<double, 6> read_virial() override;
  void read_virials(std::vector<double>& virials) override;
  void read_centroid_virials(std::vector<double>& virials) override;
  int64_t read_outside(std::vector<char>& outside) override;
  int64_t count_outside() override;
  Graph read_graph() override;

 private:
  native::Task task_of(const Graph& graph, const Request& request) const;
  void run(const Request& request, const native::Task& task);
  std::vector<Argument> numbers_and_lists() const;
  /// Launches a kernel of forces.h that adds up `width` numbers of every node.
  void add_up(const char* kernel, int64_t width, const std::vector<Argument>& more, DeviceArray<char>& to);
  void add_up_virials();
  int64_t n_rows() const { return search_.is_among_candidates() ? n_rows_ : edges_.n_atoms; }

  Network<T>& network_;
  Device& device_;
  Launcher& launcher_;
  EdgeSearch<T> search_;
  int64_t n_blocks_, n_rows_ = 0;
  std::vector<int64_t> numbers_;
  std::vector<int32_t> element_;
  bool knows_training_ = false;
  DeviceArray<char> shortest_;       // wide [pair], squared
  DeviceArray<int32_t> neighbors_;   // [element][least, most]

  native::Exchanges<T> exchanges_;
  DeviceEdges<T> edges_;
  DeviceArray<char> positions_, forces_, energies_, virials_, sums_;   // wide
  DeviceArray<int32_t> outside_, n_outside_;
  std::vector<int64_t> source_here_, target_here_;   // of read_graph
  std::vector<double> vectors_here_;
};

extern template class AtomsOnDevice<float>;
extern template class AtomsOnDevice<double>;

}  // namespace spinconv::gpu
