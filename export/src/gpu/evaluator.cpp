// SPDX-License-Identifier: MIT
#include "evaluator.h"

#include "atoms_on_device.h"
#include "network.h"
#include "padded_edges.h"

#include "spinconv/distances.h"

#include <algorithm>

namespace spinconv::gpu {
namespace {

template <class T>
class EvaluatorOf : public Evaluator {
 public:
  EvaluatorOf(const Container& container, std::shared_ptr<Device> device)
      : device_(std::move(device)), network_(container, *device_), atoms_(network_, container.metadata.info), n_blocks_(container.metadata.info.n_blocks) {}

  std::string name() const override { return "native " + device_->name().substr(0, device_->name().find(':')); }
  std::string device() const override { return device_->name(); }
  bool has_stages() const override { return true; }
  int64_t n_moments() const override { return std::max(network_.shape().n_low * network_.shape().used, network_.shape().used + 1); }
  OnDevice* on_device() override { return &atoms_; }

  void evaluate(const Graph& graph, const Request& request, Result& result) override {
    task_ = {&graph, &request, &result, n_blocks_, native::n_adjoints_of(request)};
    exchanges_.during(network_.shape(), task_, [&] {
      check_distances(graph, request.name);
      run();
    });
  }

 private:
  const Graph& graph() const { return *task_.graph; }
  Result& result() const { return *task_.result; }

  void run() {
    result().energy = 0.0;
    result().atom_energies.assign(graph().n_atoms, 0.0);
    result().edge_gradients.assign(task_.n_adjoints > 0 ? 3 * graph().n_edges : 0, 0.0);
    result().centroid.assign(task_.n_adjoints > 1 ? 9 * graph().n_edges : 0, 0.0);
    if (graph().n_atoms == 0) return;
    bring_edges();
    network_.compute(edges_, task_, exchanges_);
    network_.read_energies(padded_.element, result().atom_energies);
    for (const double energy : result().atom_energies) result().energy += energy;
    if (task_.n_adjoints > 0) read_of_edges(network_.gradients(), 3, result().edge_gradients);
    if (task_.n_adjoints > 1) read_of_edges(network_.moments(), 9, result().centroid);
  }

  void bring_edges() {
    padded_.sort(graph(), network_.element_of(), network_.n_elements(), network_.edges_of_tile());
    for (const auto pair : padded_.pair) network_.require(pair);
    here_.resize(3 * padded_.order.size());
    for (size_t n = 0; n < padded_.order.size(); ++n)
      for (int c = 0; c < 3; ++c)
        here_[3 * n + c] = padded_.order[n] >= 0 ? static_cast<T>(graph().vectors[3 * padded_.order[n] + c]) : static_cast<T>(c == 0 ? 2.0 * network_.cutoff() : 0.0);
    edges_.n_atoms = graph().n_atoms, edges_.n_nodes = task_.n_nodes(), edges_.last = padded_.last;
    edges_.n_sent_batches = static_cast<int64_t>(padded_.sent.batches.size()) - 1, edges_.n_received_batches = static_cast<int64_t>(padded_.received.batches.size()) - 1;
    edges_.vectors.write(*device_, here_);
    edges_.sender.write(*device_, padded_.sender);
    edges_.target.write(*device_, padded_.target);
    edges_.pair.write(*device_, padded_.pair);
    edges_.element.write(*device_, padded_.element);
    edges_.received.write(*device_, padded_.received_edges);
    edges_.received_first.write(*device_, padded_.received.first);
    edges_.received_batches.write(*device_, padded_.received.batches);
    edges_.sent_first.write(*device_, padded_.sent.first);
    edges_.sent_batches.write(*device_, padded_.sent.batches);
  }

  /// `width` numbers of every edge, in the order of the graph.
  void read_of_edges(const Memory* from, int64_t width, std::vector<double>& to) {
    here_.resize(width * padded_.order.size());
    device_->read(*from, 0, here_.data(), static_cast<int64_t>(here_.size() * sizeof(T)));
    for (size_t place = 0; place < padded_.order.size(); ++place)
      if (const auto e = padded_.order[place]; e >= 0) std::copy_n(here_.data() + width * place, width, to.data() + width * e);
  }

  std::shared_ptr<Device> device_;
  Network<T> network_;
  AtomsOnDevice<T> atoms_;
  int64_t n_blocks_;

  native::Task task_;
  native::Exchanges<T> exchanges_;
  PaddedEdges padded_;
  DeviceEdges<T> edges_;
  std::vector<T> here_;
};

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, std::shared_ptr<Device> device) {
  if (!native::is_for(container)) return nullptr;
  if (dtype == "float32") return std::make_unique<EvaluatorOf<float>>(container, std::move(device));
  if (!device->has_double()) throw Error("`dtype` must be float32 on " + device->description() + ", which has no float64");
  return std::make_unique<EvaluatorOf<double>>(container, std::move(device));
}

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, const std::string& device, int process) {
  return native::is_for(container) ? make_evaluator(container, dtype, open_device(device, process)) : nullptr;
}

}  // namespace spinconv::gpu
