// SPDX-License-Identifier: MIT
#include "evaluator.h"

#include "arrays.h"
#include "distance_tables.h"
#include "exchanges.h"
#include "levels.h"
#include "nuclear_wall.h"
#include "parameters.h"
#include "sorted_edges.h"
#include "team.h"

#include "spinconv/distances.h"

#include <algorithm>
#include <cmath>

namespace spinconv::native {
namespace {

constexpr int64_t edges_at_once = 256;               // of a task without chunks, a multiple of every vector
constexpr int64_t nodes_at_once = 16;
constexpr int64_t edges_for_a_thread = 1000;         // fewer are not worth waking one

template <class T>
class EvaluatorOf : public Evaluator {
 public:
  EvaluatorOf(const Container& container, const Level& level, const Kernels<T>& kernels, int threads)
      : threads_(threads), level_(level), kernels_(kernels), parameters_(container), tables_(container, parameters_.shape), wall_(container),
        references_(container.metadata.reference_energies), scale_(container.metadata.scale), average_neighbors_(container.metadata.average_neighbors),
        n_blocks_(container.metadata.info.n_blocks), element_of_(places_of_elements(container)) {
    const auto& s = parameters_.shape;
    alone_.resize(references_.size());
    std::vector<int32_t> each(references_.size());
    for (size_t n = 0; n < each.size(); ++n) each[n] = static_cast<int32_t>(n);
    Buffer<T> none, scratch(24 * s.channels);
    kernels_.head(s, parameters_.head, each.data(), static_cast<int64_t>(each.size()), none.zeros(each.size() * s.channels), scratch.get(), alone_.data(), nullptr);
  }

  const char* level() const override { return level_.name; }
  int64_t n_moments() const override { return std::max(parameters_.shape.n_low * parameters_.shape.used, parameters_.shape.used + 1); }

  void evaluate(const Graph& graph, const Request& request, Result& result) override {
    task_ = {&graph, &request, &result, n_blocks_, n_adjoints_of(request)};
    exchanges_.during(parameters_.shape, task_, [&] {
      check_distances(graph, request.name);
      run();
    });
  }

 private:
  void run() {
    clear_result();
    if (graph().n_atoms == 0) return;
    sorted_.sort(graph(), element_of_, static_cast<int32_t>(references_.size()));
    for (const auto pair : sorted_.pair) tables_.require(pair);
    team_.resize(static_cast<int>(std::clamp<int64_t>(graph().n_edges / edges_for_a_thread, 1, threads_)));
    arrays_.reserve(parameters_.shape, task_, sorted_, team_.size());
    forward();
    if (task_.n_adjoints > 0) backward();
  }

  void clear_result() {
    result().energy = 0.0;
    result().atom_energies.assign(graph().n_atoms, 0.0);
    result().edge_gradients.assign(task_.n_adjoints > 0 ? 3 * graph().n_edges : 0, 0.0);
    result().centroid.assign(task_.n_adjoints > 1 ? 9 * graph().n_edges : 0, 0.0);
  }

  // ---- the task

  const Graph& graph() const { return *task_.graph; }
  Result& result() const { return *task_.result; }
  int64_t channels() const { return parameters_.shape.channels; }
  T* moments_of(int64_t k, int64_t atom) { return arrays_.moments[k].get() + atom * parameters_.shape.n_low * channels(); }
  T* of_moments_of(int a, int64_t atom) { return arrays_.of_moments[a].get() + atom * parameters_.shape.n_low * channels(); }
  T* polynomial_of(int64_t k, int64_t atom) { return arrays_.polynomials[k].get() + atom * parameters_.shape.n_high * channels(); }
  const int32_t* received(int64_t node) const { return sorted_.received.data() + sorted_.first_received[node]; }
  int64_t n_received(int64_t node) const { return sorted_.first_received[node + 1] - sorted_.first_received[node]; }

  // ---- tasks

  template <class Run>
  void over_edges(Run&& task) {
    const int64_t n = graph().n_edges;
    team_.run((n + edges_at_once - 1) / edges_at_once, [&](int64_t k, int) { task(k * edges_at_once, std::min(edges_at_once, n - k * edges_at_once)); });
  }

  template <class Run>
  void over_nodes(Run&& task) {
    team_.run((task_.n_nodes() + nodes_at_once - 1) / nodes_at_once, [&](int64_t k, int worker) {
      for (int64_t i = k * nodes_at_once; i < std::min((k + 1) * nodes_at_once, task_.n_nodes()); ++i) task(i, arrays_.workspaces[worker]);
    });
  }

  template <class Run>
  void over_chunks(Run&& task) {
    team_.run(static_cast<int64_t>(sorted_.chunks.size()), [&](int64_t k, int worker) { task(sorted_.chunks[k], arrays_.workspaces[worker]); });
  }

  // ---- forward

  void forward() {
    geometry();
    for (int64_t k = 0; k < n_blocks_; ++k) {
      moments(k);
      over_chunks([&](const Chunk& chunk, Workspace<T>& workspace) {
        for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
          if (sorted_.first_sent[j] == sorted_.first_sent[j + 1]) continue;
          kernels_.coupling(parameters_.shape, parameters_.couplings, parameters_.blocks[k], moments_of(k, j),
                            workspace.scratch.get(), polynomial_of(k, j));
        }
        block(k, chunk, workspace, arrays_.kept(k));
      });
    }
    readout();
  }

  void geometry() {
    over_edges([&](int64_t first, int64_t n) {
      for (int64_t e = first; e < first + n; ++e)
        for (int c = 0; c < 3; ++c) arrays_.vectors.get()[c * arrays_.edges.stride + e] = static_cast<T>(graph().vectors[3 * sorted_.order[e] + c]);
      kernels_.geometry(parameters_.shape, parameters_.polynomials, parameters_.pairs, arrays_.edges, first, n);
      kernels_.initial(parameters_.shape, tables_.initial(), arrays_.edges, first, n, arrays_.messages(0));
    });
    for (int64_t n = 0; n < graph().n_edges; ++n) {
      double slope;
      arrays_.walls[sorted_.target[n]] += wall_(sorted_.pair[n], arrays_.edges.distances[n], slope);
    }
  }

  T factor_of_sums() const { return static_cast<T>(1.0 / average_neighbors_); }
  T factor_of_moments() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }

  void moments(int64_t k) {
    over_nodes([&](int64_t i, Workspace<T>&) {
      kernels_.moments(parameters_.shape, arrays_.edges, received(i), n_received(i), factor_of_moments(), arrays_.messages(k), moments_of(k, i));
    });
    exchanges_.moments(arrays_.moments[k].get());
  }

  /// The spin convolution and the messages of a chunk, from the polynomials of its senders.
  void block(int64_t k, const Chunk& chunk, Workspace<T>& workspace, const Kept<T>& kept) {
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
      const int64_t first = sorted_.first_sent[j], n = sorted_.first_sent[j + 1] - first;
      kernels_.spin(parameters_.shape, parameters_.blocks[k], arrays_.edges, first, n, polynomial_of(k, j),
                    workspace.responses.get() + (first - chunk.first_edge) * channels(), kept);
    }
    kernels_.messages(parameters_.shape, parameters_.blocks[k], tables_.of_block(k), arrays_.edges, chunk.first_edge, chunk.n_edges,
                      workspace.responses.get(), k == 0 ? nullptr : arrays_.messages(k), workspace.scratch.get(), arrays_.messages(k + 1), kept);
  }

  void readout() {
    const auto& s = parameters_.shape;
    over_nodes([&](int64_t i, Workspace<T>&) {
      kernels_.sums(s, arrays_.edges, received(i), n_received(i), factor_of_sums(), arrays_.messages(n_blocks_), arrays_.sums.get() + i * channels());
    });
    exchanges_.sums(arrays_.sums.get(), arrays_.walls);
    kernels_.head(s, parameters_.head, sorted_.element.data(), graph().n_atoms, arrays_.sums.get(), arrays_.workspaces[0].scratch.get(), arrays_.energies.get(),
                  task_.n_adjoints > 0 ? arrays_.of_sums.get() : nullptr);
    for (int64_t i = 0; i < graph().n_atoms; ++i) {
      const auto element = sorted_.element[i];
      result().atom_energies[i] = references_[element] + scale_ * double(arrays_.energies.get()[i] - alone_[element]) + arrays_.walls[i];
      result().energy += result().atom_energies[i];
    }
  }

  // ---- backward

  void backward() {
    const auto& s = parameters_.shape;
    over_edges([&](int64_t first, int64_t n) { clear_gradients(first, n); });
    for (int64_t n = 0; n < graph().n_atoms * channels(); ++n) arrays_.of_sums.get()[n] *= static_cast<T>(scale_);
    exchanges_.of_sums(arrays_.of_sums.get());
    for (int64_t k = n_blocks_ - 1; k >= 0; --k) {
      over_chunks([&](const Chunk& chunk, Workspace<T>& workspace) {
        if (k == n_blocks_ - 1)
          kernels_.sums_back(s, arrays_.edges, sorted_.target.data(), chunk.first_edge, chunk.n_edges, factor_of_sums(), arrays_.messages(n_blocks_),
                             arrays_.of_sums.get(), arrays_.of_edges[0]);
        block_back(k, chunk, workspace);
      });
      for (int a = 0; a < task_.n_adjoints; ++a) {
        exchanges_.of_moments(arrays_.of_moments[a].get());
        over_nodes([&](int64_t i, Workspace<T>& workspace) {
          kernels_.moments_back(s, arrays_.edges, received(i), n_received(i), factor_of_moments(), arrays_.messages(k), of_moments_of(a, i),
                                workspace.scratch.get(), arrays_.of_edges[a], k > 0);   // the first block passes no messages on
        });
      }
    }
    for (int a = 0; a < task_.n_adjoints; ++a) over_edges([&](int64_t first, int64_t n) { edges_back(a, first, n); });
  }

  /// Of what the way back only adds to.
  void clear_gradients(int64_t first, int64_t n) {
    for (int a = 0; a < task_.n_adjoints; ++a) {
      std::fill_n(arrays_.of_edges[a].shown + first, n, T(0));
      if (a == 0) continue;   // sums_back sets the others
      std::fill_n(arrays_.of_edges[a].messages + first * channels(), n * channels(), T(0));
      std::fill_n(arrays_.of_edges[a].envelope + first, n, T(0));
    }
  }

  /// From the gradients of messages after block k to those of the moments of a chunk's senders, and of its edges.
  ///
  /// A first moment about the receiver becomes one about the sender, x_j = x_i + r, when r times the gradient is taken off.
  void block_back(int64_t k, const Chunk& chunk, Workspace<T>& workspace) {
    const auto& s = parameters_.shape;
    const auto derivatives = task_.all_are_kept() ? arrays_.kept(k) : Kept<T>{workspace.kept.get(), chunk.first_edge};
    if (!task_.all_are_kept()) block(k, chunk, workspace, derivatives);
    for (int a = 0; a < task_.n_adjoints; ++a)
      kernels_.messages_back(s, parameters_.blocks[k], tables_.of_block(k), arrays_.edges, chunk.first_edge, chunk.n_edges, derivatives, workspace.scratch.get(),
                             arrays_.of_edges[a], workspace.of_responses[a].get());
    T* of_polynomial = workspace.scratch.get();
    T* scratch = of_polynomial + s.n_high * channels();
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
      const int64_t first = sorted_.first_sent[j], n = sorted_.first_sent[j + 1] - first, row = (first - chunk.first_edge) * channels();
      for (int a = 0; a < task_.n_adjoints; ++a) {
        T* of_moments = of_moments_of(a, j);
        if (n == 0) {
          std::fill_n(of_moments, s.n_low * channels(), T(0));
          continue;
        }
        T* of_responses = workspace.of_responses[a].get() + row;
        kernels_.spin_back(s, first, n, polynomial_of(k, j), of_responses, scratch, arrays_.of_edges[a], k + 1 < n_blocks_);
        if (a > 0) about_sender(a, first, n, workspace.of_responses[0].get() + row, of_responses);
        kernels_.spin_back_polynomial(s, arrays_.edges, first, n, of_responses, of_polynomial);
        kernels_.coupling_back(s, parameters_.couplings, parameters_.blocks[k], moments_of(k, j), of_polynomial, scratch, of_moments);
      }
    }
  }

  void about_sender(int a, int64_t first, int64_t n, const T* of_energy, T* of_moment) const {
    for (int64_t e = 0; e < n; ++e) {
      const T along = arrays_.edges.vectors[(a - 1) * arrays_.edges.stride + first + e];
      for (int64_t c = 0; c < channels(); ++c) of_moment[e * channels() + c] -= along * of_energy[e * channels() + c];
    }
  }

  void edges_back(int a, int64_t first, int64_t n) {
    double* gradients = arrays_.gradients.get();
    kernels_.initial_back(parameters_.shape, tables_.initial(), arrays_.edges, first, n, arrays_.of_edges[a]);
    kernels_.geometry_back(parameters_.shape, parameters_.polynomials, arrays_.edges, arrays_.of_edges[a], first, n, gradients);
    double* to = a == 0 ? result().edge_gradients.data() : result().centroid.data() + 3 * (a - 1);
    const int64_t stride = a == 0 ? 3 : 9;
    for (int64_t e = first; e < first + n; ++e) {
      double slope = 0.0;
      if (a == 0) wall_(sorted_.pair[e], arrays_.edges.distances[e], slope);
      for (int c = 0; c < 3; ++c) to[stride * sorted_.order[e] + c] = gradients[3 * e + c] + slope * arrays_.edges.directions[c * arrays_.edges.stride + e];
    }
  }

  const int threads_;
  Team team_;
  const Level level_;
  const Kernels<T>& kernels_;
  Parameters<T> parameters_;
  DistanceTables<T> tables_;
  NuclearWall wall_;
  std::vector<double> references_;
  double scale_, average_neighbors_;
  int64_t n_blocks_;
  std::vector<int32_t> element_of_;
  std::vector<T> alone_;

  Task task_;
  SortedEdges sorted_;
  Arrays<T> arrays_;
  Exchanges<T> exchanges_;
};

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, int threads, const std::string& wanted) {
  if (!is_for(container)) return nullptr;
  const auto level = level_here(wanted);
  if (!level) return nullptr;
  if (dtype == "float32") return std::make_unique<EvaluatorOf<float>>(container, *level, level->of_float, threads);
  return std::make_unique<EvaluatorOf<double>>(container, *level, level->of_double, threads);
}

}  // namespace spinconv::native
