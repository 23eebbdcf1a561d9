// SPDX-License-Identifier: MIT
#include "evaluator.h"

#include "distance_tables.h"
#include "nuclear_wall.h"
#include "parameters.h"
#include "sorted_edges.h"
#include "team.h"

#include "spinconv/distances.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace spinconv::native {
namespace {

constexpr const char* kind = "harmonic";             // of models that this evaluates
constexpr int64_t most_harmonics = 25;               // of moments: lmax 4
constexpr int energy_alone = 1, with_centroid = 4;   // quantities that are differentiated: the energy, and its first moments
constexpr int64_t edges_at_once = 256;               // of a task without chunks, a multiple of every vector
constexpr int64_t nodes_at_once = 16;
constexpr int64_t edges_for_a_thread = 1000;         // fewer are not worth waking one

/// What a thread needs for itself.
template <class T>
struct Workspace {
  Buffer<T> scratch, responses, of_responses[with_centroid], kept;
};

template <class T>
class EvaluatorOf : public Evaluator {
 public:
  EvaluatorOf(const Container& container, const Level& level, const Kernels<T>& kernels, int threads)
      : threads_(threads), level_(level), kernels_(kernels), parameters_(container), tables_(container, parameters_.shape), wall_(container),
        references_(container.metadata.reference_energies), scale_(container.metadata.scale), average_neighbors_(container.metadata.average_neighbors),
        n_blocks_(container.metadata.info.n_blocks) {
    const auto& elements = container.metadata.info.elements;
    element_of_.assign(elements.back() + 1, -1);
    for (size_t n = 0; n < elements.size(); ++n) element_of_[elements[n]] = static_cast<int32_t>(n);
    const auto& s = parameters_.shape;
    alone_.resize(elements.size());
    std::vector<int32_t> each(elements.size());
    for (size_t n = 0; n < each.size(); ++n) each[n] = static_cast<int32_t>(n);
    Buffer<T> none, scratch(24 * s.channels);
    kernels_.head(s, parameters_.head, each.data(), static_cast<int64_t>(each.size()), none.zeros(each.size() * s.channels), scratch.get(), alone_.data(), nullptr);
  }

  const char* level() const override { return level_.name; }

  void evaluate(const Graph& graph, const Request& request, Result& result) override {
    graph_ = &graph, request_ = &request, result_ = &result;
    n_adjoints_ = !request.gradients ? 0 : request.centroid ? with_centroid : energy_alone;
    n_from_ghosts_left_ = request.exchange ? n_blocks_ + 1 : 0;
    n_to_ghosts_left_ = request.exchange && request.gradients ? n_adjoints_ * n_blocks_ + 1 : 0;
    try {
      check_distances(graph, request.name);
      run();
    } catch (...) {
      finish_exchanges();
      throw;
    }
    finish_exchanges();
  }

 private:
  void run() {
    clear_result();
    if (graph_->n_atoms == 0) return;
    sorted_.sort(*graph_, element_of_, static_cast<int32_t>(references_.size()));
    for (const auto pair : sorted_.pair) tables_.require(pair);
    reserve();
    forward();
    if (n_adjoints_ > 0) backward();
  }

  void clear_result() {
    result_->energy = 0.0;
    result_->atom_energies.assign(graph_->n_atoms, 0.0);
    result_->edge_gradients.assign(n_adjoints_ > 0 ? 3 * graph_->n_edges : 0, 0.0);
    result_->centroid.assign(n_adjoints_ > 1 ? 9 * graph_->n_edges : 0, 0.0);
  }

  // ---- memory

  int64_t n_nodes() const { return graph_->n_atoms + graph_->n_ghosts; }
  int64_t channels() const { return parameters_.shape.channels; }
  int64_t moments_size() const { return parameters_.shape.n_low * channels(); }
  int64_t polynomial_size() const { return parameters_.shape.n_high * channels(); }
  bool all_are_kept() const { return request_->chunk == 0 || graph_->n_edges <= request_->chunk; }

  void reserve() {
    const auto& s = parameters_.shape;
    const int64_t n_edges = graph_->n_edges, stride = (n_edges + row_multiple) / row_multiple * row_multiple;
    int64_t largest = 0;
    for (const auto& chunk : sorted_.chunks) largest = std::max(largest, chunk.n_edges);
    edges_.vectors = vectors_.zeros(3 * stride);
    edges_.directions = directions_.fit(3 * stride);
    edges_.stride = stride;
    edges_.distances = distances_.fit(stride);
    edges_.inverse_distances = inverse_distances_.fit(stride);
    edges_.shown = shown_.fit(stride);
    edges_.shown_slope = shown_slope_.fit(stride);
    edges_.envelope = envelope_.fit(stride);
    edges_.envelope_slope = envelope_slope_.fit(stride);
    edges_.harmonics = harmonics_.fit(n_edges * s.high);
    edges_.pair = sorted_.pair.data();
    messages_.fit((n_blocks_ + 1) * n_edges * channels());
    moments_.resize(n_blocks_), polynomials_.resize(n_blocks_);
    for (auto& moments : moments_) moments.fit(n_nodes() * moments_size());
    for (auto& polynomials : polynomials_) polynomials.fit(graph_->n_atoms * polynomial_size());
    sums_.fit(n_nodes() * channels());
    of_sums_.fit(n_nodes() * channels());
    walls_.assign(n_nodes(), 0.0);
    team_.resize(static_cast<int>(std::clamp<int64_t>(n_edges / edges_for_a_thread, 1, threads_)));
    if (static_cast<int>(workspaces_.size()) < team_.size()) workspaces_.resize(team_.size());
    const int64_t of_coupling = (s.n_spread + 4 * s.n_rows + s.n_products) * row_multiple, of_spin = channels() * s.high, of_messages = 24 * channels();
    for (auto& workspace : workspaces_) {
      workspace.scratch.fit(std::max({of_coupling, of_spin, of_messages}) + polynomial_size());
      workspace.responses.fit(largest * channels());
      if (n_adjoints_ > 0 && !all_are_kept()) workspace.kept.fit(largest * 4 * channels());
      for (int a = 0; a < n_adjoints_; ++a) workspace.of_responses[a].fit(largest * channels());
    }
    if (n_adjoints_ == 0) return;
    gradients_.fit(3 * n_edges);
    if (all_are_kept()) kept_.fit(n_blocks_ * n_edges * 4 * channels());
    for (int a = 0; a < n_adjoints_; ++a) {
      of_edges_[a].messages = of_messages_[a].zeros(n_edges * channels());
      of_edges_[a].harmonics = of_harmonics_[a].zeros(n_edges * s.high);
      of_edges_[a].envelope = of_envelope_[a].zeros(stride);
      of_edges_[a].shown = of_shown_[a].zeros(stride);
      of_moments_[a].fit(n_nodes() * moments_size());
    }
  }

  T* messages(int64_t k) { return messages_.get() + k * graph_->n_edges * channels(); }

  /// What the forward pass keeps of block k; nothing where a chunk will be run again.
  Kept<T> kept(int64_t k) { return n_adjoints_ > 0 && all_are_kept() ? Kept<T>{kept_.get() + k * graph_->n_edges * 4 * channels(), 0} : Kept<T>{}; }

  const int32_t* received(int64_t node) const { return sorted_.received.data() + sorted_.first_received[node]; }
  int64_t n_received(int64_t node) const { return sorted_.first_received[node + 1] - sorted_.first_received[node]; }

  // ---- tasks

  template <class Task>
  void over_edges(Task&& task) {
    const int64_t n = graph_->n_edges;
    team_.run((n + edges_at_once - 1) / edges_at_once, [&](int64_t k, int) { task(k * edges_at_once, std::min(edges_at_once, n - k * edges_at_once)); });
  }

  template <class Task>
  void over_nodes(Task&& task) {
    team_.run((n_nodes() + nodes_at_once - 1) / nodes_at_once, [&](int64_t k, int worker) {
      for (int64_t i = k * nodes_at_once; i < std::min((k + 1) * nodes_at_once, n_nodes()); ++i) task(i, workspaces_[worker]);
    });
  }

  template <class Task>
  void over_chunks(Task&& task) {
    team_.run(static_cast<int64_t>(sorted_.chunks.size()), [&](int64_t k, int worker) { task(sorted_.chunks[k], workspaces_[worker]); });
  }

  // ---- forward

  void forward() {
    geometry();
    for (int64_t k = 0; k < n_blocks_; ++k) {
      moments(k);
      over_chunks([&](const Chunk& chunk, Workspace<T>& workspace) {
        for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
          if (sorted_.first_sent[j] == sorted_.first_sent[j + 1]) continue;
          kernels_.coupling(parameters_.shape, parameters_.couplings, parameters_.blocks[k], moments_[k].get() + j * moments_size(),
                            workspace.scratch.get(), polynomials_[k].get() + j * polynomial_size());
        }
        block(k, chunk, workspace, kept(k));
      });
    }
    readout();
  }

  void geometry() {
    over_edges([&](int64_t first, int64_t n) {
      for (int64_t e = first; e < first + n; ++e)
        for (int c = 0; c < 3; ++c) vectors_.get()[c * edges_.stride + e] = static_cast<T>(graph_->vectors[3 * sorted_.order[e] + c]);
      kernels_.geometry(parameters_.shape, parameters_.polynomials, parameters_.pairs, edges_, first, n);
      kernels_.initial(parameters_.shape, tables_.initial(), edges_, first, n, messages(0));
    });
    for (int64_t n = 0; n < graph_->n_edges; ++n) {
      double slope;
      walls_[sorted_.target[n]] += wall_(sorted_.pair[n], edges_.distances[n], slope);
    }
  }

  T factor_of_moments() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }

  void moments(int64_t k) {
    over_nodes([&](int64_t i, Workspace<T>&) {
      kernels_.moments(parameters_.shape, edges_, received(i), n_received(i), factor_of_moments(), messages(k), moments_[k].get() + i * moments_size());
    });
    if (request_->exchange) from_ghosts(moments_[k].get());
  }

  /// The spin convolution and the messages of a chunk, from the polynomials of its senders.
  void block(int64_t k, const Chunk& chunk, Workspace<T>& workspace, const Kept<T>& kept) {
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
      const int64_t first = sorted_.first_sent[j], n = sorted_.first_sent[j + 1] - first;
      kernels_.spin(parameters_.shape, parameters_.blocks[k], edges_, first, n, polynomials_[k].get() + j * polynomial_size(),
                    workspace.responses.get() + (first - chunk.first_edge) * channels(), kept);
    }
    kernels_.messages(parameters_.shape, parameters_.blocks[k], tables_.of_block(k), edges_, chunk.first_edge, chunk.n_edges,
                      workspace.responses.get(), k == 0 ? nullptr : messages(k), workspace.scratch.get(), messages(k + 1), kept);
  }

  void readout() {
    const auto& s = parameters_.shape;
    over_nodes([&](int64_t i, Workspace<T>&) {
      kernels_.sums(s, edges_, received(i), n_received(i), static_cast<T>(1.0 / average_neighbors_), messages(n_blocks_), sums_.get() + i * channels());
    });
    if (request_->exchange) exchange_sums();
    energies_.fit(graph_->n_atoms);
    kernels_.head(s, parameters_.head, sorted_.element.data(), graph_->n_atoms, sums_.get(), workspaces_[0].scratch.get(), energies_.get(),
                  n_adjoints_ > 0 ? of_sums_.get() : nullptr);
    for (int64_t i = 0; i < graph_->n_atoms; ++i) {
      const auto element = sorted_.element[i];
      result_->atom_energies[i] = references_[element] + scale_ * double(energies_.get()[i] - alone_[element]) + walls_[i];
      result_->energy += result_->atom_energies[i];
    }
  }

  // ---- backward

  void backward() {
    const auto& s = parameters_.shape;
    for (int64_t n = 0; n < graph_->n_atoms * channels(); ++n) of_sums_.get()[n] *= static_cast<T>(scale_);
    if (request_->exchange) exchange_of_sums();
    over_nodes([&](int64_t i, Workspace<T>&) {
      kernels_.sums_back(s, edges_, received(i), n_received(i), static_cast<T>(1.0 / average_neighbors_), messages(n_blocks_),
                         of_sums_.get() + i * channels(), of_edges_[0]);
    });
    for (int64_t k = n_blocks_ - 1; k >= 0; --k) {
      over_chunks([&](const Chunk& chunk, Workspace<T>& workspace) { block_back(k, chunk, workspace); });
      for (int a = 0; a < n_adjoints_; ++a) {
        if (k == 0) std::fill_n(of_edges_[a].messages, graph_->n_edges * channels(), T(0));   // the first block passes no messages on
        if (request_->exchange) to_ghosts(of_moments_[a].get());
        over_nodes([&](int64_t i, Workspace<T>& workspace) {
          kernels_.moments_back(s, edges_, received(i), n_received(i), factor_of_moments(), messages(k), of_moments_[a].get() + i * moments_size(),
                                workspace.scratch.get(), of_edges_[a]);
        });
      }
    }
    for (int a = 0; a < n_adjoints_; ++a) over_edges([&](int64_t first, int64_t n) { edges_back(a, first, n); });
  }

  /// From the gradients of messages after block k to those of the moments of a chunk's senders, and of its edges.
  ///
  /// A first moment about the receiver becomes one about the sender, x_j = x_i + r, when r times the gradient is taken off.
  void block_back(int64_t k, const Chunk& chunk, Workspace<T>& workspace) {
    const auto& s = parameters_.shape;
    const auto derivatives = all_are_kept() ? kept(k) : Kept<T>{workspace.kept.get(), chunk.first_edge};
    if (!all_are_kept()) block(k, chunk, workspace, derivatives);
    for (int a = 0; a < n_adjoints_; ++a)
      kernels_.messages_back(s, parameters_.blocks[k], tables_.of_block(k), edges_, chunk.first_edge, chunk.n_edges, derivatives, workspace.scratch.get(),
                             of_edges_[a], workspace.of_responses[a].get());
    T* of_polynomial = workspace.scratch.get();
    T* scratch = of_polynomial + polynomial_size();
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j) {
      const int64_t first = sorted_.first_sent[j], n = sorted_.first_sent[j + 1] - first, row = (first - chunk.first_edge) * channels();
      for (int a = 0; a < n_adjoints_; ++a) {
        T* of_moments = of_moments_[a].get() + j * moments_size();
        if (n == 0) {
          std::fill_n(of_moments, moments_size(), T(0));
          continue;
        }
        T* of_responses = workspace.of_responses[a].get() + row;
        kernels_.spin_back(s, first, n, polynomials_[k].get() + j * polynomial_size(), of_responses, scratch, of_edges_[a]);
        if (a > 0) about_sender(a, first, n, workspace.of_responses[0].get() + row, of_responses);
        kernels_.spin_back_polynomial(s, edges_, first, n, of_responses, of_polynomial);
        kernels_.coupling_back(s, parameters_.couplings, parameters_.blocks[k], moments_[k].get() + j * moments_size(), of_polynomial, scratch, of_moments);
      }
    }
  }

  void about_sender(int a, int64_t first, int64_t n, const T* of_energy, T* of_moment) const {
    for (int64_t e = 0; e < n; ++e) {
      const T along = edges_.vectors[(a - 1) * edges_.stride + first + e];
      for (int64_t c = 0; c < channels(); ++c) of_moment[e * channels() + c] -= along * of_energy[e * channels() + c];
    }
  }

  void edges_back(int a, int64_t first, int64_t n) {
    double* gradients = gradients_.get();
    kernels_.initial_back(parameters_.shape, tables_.initial(), edges_, first, n, of_edges_[a]);
    kernels_.geometry_back(parameters_.shape, parameters_.polynomials, edges_, of_edges_[a], first, n, gradients);
    double* to = a == 0 ? result_->edge_gradients.data() : result_->centroid.data() + 3 * (a - 1);
    const int64_t stride = a == 0 ? 3 : 9;
    for (int64_t e = first; e < first + n; ++e) {
      double slope = 0.0;
      if (a == 0) wall_(sorted_.pair[e], edges_.distances[e], slope);
      for (int c = 0; c < 3; ++c) to[stride * sorted_.order[e] + c] = gradients[3 * e + c] + slope * edges_.directions[c * edges_.stride + e];
    }
  }

  // ---- exchanges: rows as the stages of torch have them, without what is padded here

  int64_t moments_width() const { return parameters_.shape.n_low * parameters_.shape.used; }
  int64_t sums_width() const { return parameters_.shape.used + 1; }

  void copy_rows(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n_rows) const {
    for (int64_t n = 0; n < n_rows; ++n) std::copy_n(from + n * from_stride, parameters_.shape.used, to + n * to_stride);
  }

  void from_ghosts(T* moments) {
    const int64_t rows_of_atom = parameters_.shape.n_low;
    T* rows = exchanged_.fit(n_nodes() * moments_width());
    copy_rows(moments, channels(), rows, parameters_.shape.used, n_nodes() * rows_of_atom);
    --n_from_ghosts_left_;
    request_->exchange->from_ghosts(rows, moments_width());
    copy_rows(rows, parameters_.shape.used, moments, channels(), graph_->n_atoms * rows_of_atom);
  }

  void to_ghosts(T* moments) {
    const int64_t rows_of_atom = parameters_.shape.n_low;
    T* rows = exchanged_.zeros(n_nodes() * moments_width());
    copy_rows(moments, channels(), rows, parameters_.shape.used, graph_->n_atoms * rows_of_atom);
    --n_to_ghosts_left_;
    request_->exchange->to_ghosts(rows, moments_width());
    std::fill(moments + graph_->n_atoms * moments_size(), moments + n_nodes() * moments_size(), T(0));
    copy_rows(rows + graph_->n_atoms * moments_width(), parameters_.shape.used, moments + graph_->n_atoms * moments_size(), channels(), graph_->n_ghosts * rows_of_atom);
  }

  void exchange_sums() {
    const int64_t width = sums_width();
    T* rows = exchanged_.fit(n_nodes() * width);
    copy_rows(sums_.get(), channels(), rows, width, n_nodes());
    for (int64_t i = 0; i < n_nodes(); ++i) rows[i * width + width - 1] = static_cast<T>(walls_[i]);
    --n_from_ghosts_left_;
    request_->exchange->from_ghosts(rows, width);
    copy_rows(rows, width, sums_.get(), channels(), graph_->n_atoms);
    for (int64_t i = 0; i < graph_->n_atoms; ++i) walls_[i] = rows[i * width + width - 1];
  }

  void exchange_of_sums() {
    const int64_t width = sums_width();
    T* rows = exchanged_.zeros(n_nodes() * width);
    copy_rows(of_sums_.get(), channels(), rows, width, graph_->n_atoms);
    --n_to_ghosts_left_;
    request_->exchange->to_ghosts(rows, width);
    std::fill(of_sums_.get() + graph_->n_atoms * channels(), of_sums_.get() + n_nodes() * channels(), T(0));
    copy_rows(rows + graph_->n_atoms * width, width, of_sums_.get() + graph_->n_atoms * channels(), channels(), graph_->n_ghosts);
  }

  /// Makes the exchanges that are left, with zeros: the others wait for them.
  void finish_exchanges() {
    if (n_from_ghosts_left_ == 0 && n_to_ghosts_left_ == 0) return;
    const int64_t n_to_ghosts = n_adjoints_ * n_blocks_ + 1;
    const auto zeros = [&] { return exchanged_.zeros(n_nodes() * std::max(moments_width(), sums_width())); };   // ghosts may pass on what others have: anew each time
    for (; n_from_ghosts_left_ > 0; --n_from_ghosts_left_) request_->exchange->from_ghosts(zeros(), n_from_ghosts_left_ == 1 ? sums_width() : moments_width());
    for (; n_to_ghosts_left_ > 0; --n_to_ghosts_left_)
      request_->exchange->to_ghosts(zeros(), n_to_ghosts_left_ == n_to_ghosts ? sums_width() : moments_width());
  }

  const int threads_;
  Team team_;
  std::vector<Workspace<T>> workspaces_;
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

  const Graph* graph_ = nullptr;
  const Request* request_ = nullptr;
  Result* result_ = nullptr;
  int n_adjoints_ = 0;
  int64_t n_from_ghosts_left_ = 0, n_to_ghosts_left_ = 0;

  SortedEdges sorted_;
  Edges<T> edges_;
  EdgeGradients<T> of_edges_[with_centroid];
  std::vector<double> walls_;   // eV, [n_atoms + n_ghosts]
  Buffer<T> vectors_, directions_, distances_, inverse_distances_, shown_, shown_slope_, envelope_, envelope_slope_, harmonics_, messages_, sums_, of_sums_,
      kept_, energies_, exchanged_;
  std::vector<Buffer<T>> moments_, polynomials_;   // of every block
  Buffer<T> of_messages_[with_centroid], of_harmonics_[with_centroid], of_envelope_[with_centroid], of_shown_[with_centroid], of_moments_[with_centroid];
  Buffer<double> gradients_;
};

/// An instruction set. Nothing of its unit is called, not even what says its kernels, before the processor is known to have it.
struct Candidate {
  const char* name;
  bool is_here;
  Level (*level)();
};

std::vector<Candidate> candidates() {
#ifdef SPINCONV_X86_LEVELS
  return {{"x86-64-v4", __builtin_cpu_supports("x86-64-v4") != 0, level_x86_64_v4}, {"x86-64-v3", __builtin_cpu_supports("x86-64-v3") != 0, level_x86_64_v3}};
#else
  return {};
#endif
}

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, int threads, const std::string& wanted) {
  if (container.metadata.info.kind != kind || container.metadata.info.n_blocks < 1) return nullptr;
  const Numbers responses(container, "constants.responses.0", {-1, -1});
  if (responses.shape[1] > most_harmonics) return nullptr;
  for (const auto& candidate : candidates()) {
    if (!candidate.is_here || (!wanted.empty() && wanted != candidate.name)) continue;
    const auto level = candidate.level();
    if (dtype == "float32") return std::make_unique<EvaluatorOf<float>>(container, level, level.of_float, threads);
    return std::make_unique<EvaluatorOf<double>>(container, level, level.of_double, threads);
  }
  return nullptr;
}

}  // namespace spinconv::native
