// The chain rule by hand over the stages of a model, which is what lets other processes have their say between them:
//
//   forward   edges -> [moments -> from_ghosts -> block] x n_blocks -> sums -> from_ghosts -> readout        (block: spin and mix)
//   backward  readout -> to_ghosts -> sums -> [block -> to_ghosts -> moments] x n_blocks -> edges
//
// Within a stage torch differentiates, on this thread. Edges go by chunks that stay in the caches; a chunk has all the edges of the
// atoms that send them, and edges and block, which need nearly all of the memory, run chunk by chunk. Moments and sums, which add up
// the edges into an atom, run for all at once. What a stage leaves for its turn in the backward pass is kept for as many edges as the
// caller allows; the others run again then.
//
// An edge is where the atom is that sends it: the spin convolution, whose cost is by sender as much as by edge, then meets every atom
// on one process only.
// SPDX-License-Identifier: MIT
#include "evaluation.h"

#include "plain_torch.h"

#include "spinconv/distances.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace spinconv {
namespace {

using torch::Tensor;
using Tensors = std::vector<Tensor>;

/// A run of edges with all that a run of atoms sends.
struct Chunk {
  int64_t first_edge = 0, n_edges = 0, first_sender = 0, n_senders = 0;
  Tensor vectors;                 // (n_edges, 3), working precision
  Tensor pair;                    // (n_edges,), of elements
  c10::IValue by_sender;          // tiles, of senders counted from first_sender
};

/// A stage that has run: its inputs are leaves.
struct Stage {
  Tensors inputs, outputs;
};

/// A sum of gradients over the edges, some of which come in parts. The first term may be shared with others and is not written to.
class Sum {
 public:
  /// `term` is of the edges from `first` on, of `n_edges`. An undefined one is zero.
  void add(const Tensor& term, int64_t first, int64_t n_edges) {
    if (!term.defined()) return;
    if (term.size(0) < n_edges) {
      add_part(term, first, n_edges);
    } else if (!sum_.defined()) {
      sum_ = term;
    } else {
      own();
      sum_.add_(term);
    }
  }
  bool defined() const { return sum_.defined(); }
  const Tensor& get() const { return sum_; }
  /// Undefined where the sum is.
  Tensor of(const Chunk& chunk) const {
    return !defined() || sum_.size(0) == chunk.n_edges ? sum_ : sum_.narrow(0, chunk.first_edge, chunk.n_edges);
  }

 private:
  void add_part(const Tensor& term, int64_t first, int64_t n_edges) {
    if (!sum_.defined()) {
      auto shape = term.sizes().vec();
      shape[0] = n_edges;
      sum_ = torch::zeros(shape, term.options());
      own_ = true;
    }
    own();
    sum_.narrow(0, first, term.size(0)).add_(term);
  }
  void own() {
    if (!own_) sum_ = sum_.clone();
    own_ = true;
  }

  Tensor sum_;
  bool own_ = false;
};

/// The gradients of one quantity with respect to what passes between stages.
struct Adjoint {
  std::vector<Sum> geometry;   // and t, last
  Sum m;
};

/// What the first stage makes of the edges for all others, in this order; then come t and the first messages.
enum Geometry : size_t { envelope, harmonics, wall, n_geometry };

/// The energy, and the three components of its first moment about the receiving atom.
constexpr int n_adjoints_with_centroid = 4;

/// Edges whose intermediate results stay in the caches of a CPU: a sixth faster than 60,000 at once (docs/performance.md).
constexpr int64_t cached_edges = 4096;

class Evaluation {
 public:
  Evaluation(const Stages& stages, const Graph& graph, const Request& request, Result& result)
      : stages_(stages), graph_(graph), request_(request), result_(result),
        n_adjoints_(!request.gradients ? 0 : request.centroid ? n_adjoints_with_centroid : 1),
        n_from_ghosts_left_(request.exchange ? stages.n_blocks + 1 : 0),
        n_to_ghosts_(request.exchange && request.gradients ? n_adjoints_ * stages.n_blocks + 1 : 0), n_to_ghosts_left_(n_to_ghosts_) {}

  void run() {
    clear_result();
    if (graph_.n_atoms == 0) return finish_exchanges();   // a process without atoms still owes them
    cut_into_chunks();
    const bool has_gradients = n_adjoints_ > 0 && graph_.n_edges > 0;
    decide_what_to_keep(has_gradients);
    forward();
    if (has_gradients) {
      at::AutoGradMode with_gradients(true);
      backward();
    }
    finish_exchanges();   // and so does one without edges
  }

  /// Makes the exchanges that are left, with zeros: the others wait for them.
  void finish_exchanges() {
    const auto zeros = torch::zeros({n_nodes() * std::max(stages_.n_moments, stages_.n_sums)}, stages_.dtype);
    while (n_from_ghosts_left_ > 0) from_ghosts(zeros.zero_());
    while (n_to_ghosts_left_ > 0) to_ghosts(zeros.zero_());
  }

 private:
  void clear_result() {
    result_.energy = 0.0;
    result_.atom_energies.assign(graph_.n_atoms, 0.0);
    result_.edge_gradients.assign(request_.gradients ? 3 * graph_.n_edges : 0, 0.0);
    result_.atom_forces.clear();
    result_.centroid.assign(request_.gradients && request_.centroid ? 9 * graph_.n_edges : 0, 0.0);
  }

  // ---- the edges in chunks

  Tensor upload(const int64_t* data, int64_t n) const {
    return torch::from_blob(const_cast<int64_t*>(data), {n}, torch::kInt64).to(stages_.device, torch::kInt64, false, true);
  }

  Tensor upload_vectors(const double* data, int64_t n) const {
    return torch::from_blob(const_cast<double*>(data), {n, 3}, torch::kFloat64).to(stages_.device, stages_.dtype);
  }

  /// Edges in a chunk: what stays in the caches of a CPU, all for a GPU.
  int64_t edges_in_chunk() const {
    const int64_t most = request_.chunk > 0 ? request_.chunk : graph_.n_edges;
    return stages_.device.is_cpu() ? std::min(most, cached_edges) : most;
  }

  /// The results of the last chunks, which the backward pass needs first, as far as `chunk` allows.
  void decide_what_to_keep(bool has_gradients) {
    first_kept_ = chunks_.size();
    if (!has_gradients) return;
    int64_t n_kept = 0;
    while (first_kept_ > 0) {
      n_kept += chunks_[first_kept_ - 1].n_edges;
      if (request_.chunk > 0 && n_kept > request_.chunk && first_kept_ < chunks_.size()) break;
      --first_kept_;
    }
  }

  void cut_into_chunks() {
    const auto n_edges = graph_.n_edges, n_nodes = graph_.n_atoms + graph_.n_ghosts;
    const auto most = edges_in_chunk();
    numbers_ = upload(graph_.numbers, n_nodes);
    numbers_of_senders_ = numbers_;
    if (n_edges <= most) {
      j_ = upload(graph_.source, n_edges), i_ = upload(graph_.target, n_edges);
      vectors_ = upload_vectors(graph_.vectors, n_edges);
      by_receiver_ = call("tiles", {i_, n_nodes});
      chunks_.push_back(make_chunk(0, n_edges, 0, graph_.n_atoms));
      return;
    }
    const auto first_of_sender = order_by_sender();
    by_receiver_ = call("tiles", {i_, n_nodes});
    const auto n_senders = static_cast<int64_t>(first_of_sender.size()) - 1;
    const int64_t n_chunks = (n_edges + most - 1) / most;
    const int64_t wanted = (n_edges + n_chunks - 1) / n_chunks;
    for (int64_t begin = 0, sender = 0; sender < n_senders; ++sender) {
      const auto first = first_of_sender[begin], n = first_of_sender[sender + 1] - first;
      const bool is_last = sender + 1 == n_senders;
      const bool next_is_too_many = !is_last && first_of_sender[sender + 2] - first > most;
      if (n < wanted && !next_is_too_many && !is_last) continue;
      chunks_.push_back(make_chunk(first, n, begin, sender + 1 - begin));
      begin = sender + 1;
    }
  }

  /// Numbers the atoms that send anew, those with the most edges first, and puts the edges in their order; where those of each begin,
  /// [n_senders + 1]. In a chunk all then send about as many, which leaves few empty places in the stages' tables.
  std::vector<int64_t> order_by_sender() {
    const auto n_edges = graph_.n_edges, n_atoms = graph_.n_atoms;
    std::vector<int64_t> n_sent(n_atoms, 0), senders, number(n_atoms), first{0};
    for (int64_t e = 0; e < n_edges; ++e) ++n_sent[graph_.source[e]];
    for (int64_t atom = 0; atom < n_atoms; ++atom)
      if (n_sent[atom] > 0) senders.push_back(atom);
    std::stable_sort(senders.begin(), senders.end(), [&](int64_t a, int64_t b) { return n_sent[a] > n_sent[b]; });
    for (size_t n = 0; n < senders.size(); ++n) {
      number[senders[n]] = static_cast<int64_t>(n);
      first.push_back(first[n] + n_sent[senders[n]]);
    }
    std::vector<int64_t> j(n_edges);
    order_.resize(n_edges);
    auto next = first;
    for (int64_t e = 0; e < n_edges; ++e) {
      const auto sender = number[graph_.source[e]];
      j[next[sender]] = sender;
      order_[next[sender]++] = e;
    }
    const auto order = upload(order_.data(), n_edges);
    senders_ = upload(senders.data(), static_cast<int64_t>(senders.size())).clone();
    numbers_of_senders_ = numbers_.index_select(0, senders_);
    j_ = upload(j.data(), n_edges).clone();
    i_ = upload(graph_.target, n_edges).index_select(0, order);
    vectors_ = upload_vectors(graph_.vectors, n_edges).index_select(0, order);
    return first;
  }

  Chunk make_chunk(int64_t first_edge, int64_t n_edges, int64_t first_sender, int64_t n_senders) const {
    const auto j = j_.narrow(0, first_edge, n_edges), i = i_.narrow(0, first_edge, n_edges);
    const auto pair = call("pairs", {numbers_of_senders_.index_select(0, j), numbers_.index_select(0, i)}).toTensor();
    return {first_edge, n_edges, first_sender, n_senders, vectors_.narrow(0, first_edge, n_edges), pair,
            call("tiles", {first_sender == 0 ? j : j - first_sender, n_senders})};
  }

  // ---- the stages

  c10::IValue call(const char* stage, std::vector<c10::IValue> arguments) const { return stages_.equations(stage, std::move(arguments)); }

  static Tensor leaf(const Tensor& tensor) { return tensor.detach().requires_grad_(at::GradMode::is_enabled()); }

  /// Leaves of the geometry and, for a block, t.
  Tensors leaves(const Chunk& chunk, bool with_t) const {
    Tensors inputs;
    for (size_t n = 0; n < n_geometry + (with_t ? 1 : 0); ++n) inputs.push_back(leaf(of(features_[n], chunk)));
    return inputs;
  }

  static Tensor of(const Tensor& whole, const Chunk& chunk) {
    return whole.size(0) == chunk.n_edges ? whole : whole.narrow(0, chunk.first_edge, chunk.n_edges);
  }

  Stage edges(const Chunk& chunk) {
    Stage stage{{leaf(chunk.vectors)}, {}};
    const auto made = call("edges", {stage.inputs[0], chunk.pair}).toTuple();
    for (const auto& part : made->elements()) stage.outputs.push_back(part.toTensor());   // the geometry, t and m
    return stage;
  }

  Stage moments(int64_t k) {
    Stage stage{leaves(all_, false), {}};
    stage.inputs.push_back(leaf(m_[k]));
    const auto& inputs = stage.inputs;
    stage.outputs = {call("moments", {k, inputs.back(), inputs[envelope], inputs[harmonics], by_receiver_, n_nodes()}).toTensor()};
    return stage;
  }

  Stage block(const Chunk& chunk, int64_t k) {
    Stage stage{leaves(chunk, true), {}};
    const auto t = stage.inputs.back(), m = leaf(of(m_[k], chunk)), received = leaf(moments_[k].narrow(0, chunk.first_sender, chunk.n_senders));
    stage.inputs.push_back(m);
    stage.inputs.push_back(received);
    const auto h = call("spin", {k, received, stage.inputs[harmonics], chunk.by_sender});
    stage.outputs = {call("mix", {k, h, m, t, chunk.pair}).toTensor()};
    return stage;
  }

  Stage sums() {
    Stage stage{leaves(all_, false), {}};
    stage.inputs.push_back(leaf(m_.back()));
    stage.outputs = {call("sums", {stage.inputs.back(), stage.inputs[envelope], stage.inputs[wall], i_, n_nodes()}).toTensor()};
    return stage;
  }

  Stage readout() {
    Stage stage{{leaf(sums_)}, {}};
    stage.outputs = {call("readout", {stage.inputs[0], numbers_.narrow(0, 0, graph_.n_atoms)}).toTensor()};
    return stage;
  }

  int64_t n_nodes() const { return graph_.n_atoms + graph_.n_ghosts; }

  bool is_kept(size_t c) const { return c >= first_kept_; }
  bool all_are_kept() const { return first_kept_ == 0; }

  /// A stage of the forward pass, with what its turn in the backward pass needs if it is kept.
  template <class Run> Tensors advance(bool kept, Run&& run) {
    at::AutoGradMode with_gradients(kept);
    auto stage = run();
    auto outputs = stage.outputs;
    if (kept) kept_.push_back(std::move(stage));
    return outputs;
  }

  /// The stage whose turn it is in the backward pass, kept or run again.
  template <class Run> Stage recall(bool kept, Run&& run) {
    if (!kept) return run();
    auto stage = std::move(kept_.back());
    kept_.pop_back();
    return stage;
  }

  // ---- forward

  void forward() {
    all_.n_edges = graph_.n_edges;
    Tensors made;
    for (size_t c = 0; c < chunks_.size(); ++c) {
      const auto outputs = advance(is_kept(c), [&] { return edges(chunks_[c]); });
      made.resize(outputs.size());
      for (size_t n = 0; n < made.size(); ++n) put(made[n], chunks_[c], outputs[n]);
    }
    m_.push_back(made.back());
    made.pop_back();
    features_ = std::move(made);
    for (int64_t k = 0; k < stages_.n_blocks; ++k) {
      moments_.push_back(moments_of_all(k));
      Tensor m;
      for (size_t c = 0; c < chunks_.size(); ++c) {
        const auto outputs = advance(is_kept(c), [&] { return block(chunks_[c], k); });
        put(m, chunks_[c], outputs[0]);
      }
      m_.push_back(m);
    }
    sums_ = at_home(advance(all_are_kept(), [&] { return sums(); })[0]);
    store(advance(all_are_kept(), [&] { return readout(); })[0]);
  }

  /// `values` of a chunk to their place in `whole`, which the first of several chunks makes.
  void put(Tensor& whole, const Chunk& chunk, const Tensor& values) const {
    if (chunk.n_edges == graph_.n_edges) {
      whole = values.detach();
      return;
    }
    if (!whole.defined()) {
      auto shape = values.sizes().vec();
      shape[0] = graph_.n_edges;
      whole = torch::empty(shape, values.options());
    }
    whole.narrow(0, chunk.first_edge, chunk.n_edges).copy_(values.detach());
  }

  /// (n_senders, ...)
  Tensor moments_of_all(int64_t k) {
    const auto of_atoms = at_home(advance(all_are_kept(), [&] { return moments(k); })[0]);
    return senders_.defined() ? of_atoms.index_select(0, senders_) : of_atoms;
  }

  /// (n_atoms, ...) of (n_atoms + n_ghosts, ...): what ghosts have is added where they are at home.
  Tensor at_home(const Tensor& of_nodes) {
    if (!request_.exchange) return of_nodes.detach();
    const auto here = of_nodes.detach().to(torch::kCPU, stages_.dtype, false, true, c10::MemoryFormat::Contiguous);   // a copy
    from_ghosts(here);
    return here.narrow(0, 0, graph_.n_atoms).to(stages_.device);
  }

  /// The reverse for gradients: ghosts get those of the atoms that they are images of.
  Tensor with_ghosts(const Tensor& of_atoms) {
    if (!request_.exchange) return of_atoms;
    auto shape = of_atoms.sizes().vec();
    shape[0] = graph_.n_ghosts;
    const auto here = torch::cat({of_atoms, torch::zeros(shape, of_atoms.options())}).to(torch::kCPU);
    to_ghosts(here);
    return here.to(stages_.device);
  }

  // ---- backward

  void backward() {
    std::vector<Adjoint> adjoints(n_adjoints_);
    for (auto& adjoint : adjoints) adjoint.geometry.resize(n_geometry + 1);
    {
      const auto head = recall(all_are_kept(), [&] { return readout(); });
      const auto of_sums = with_ghosts(or_zeros(pull(head, {torch::ones_like(head.outputs[0])}, false)[0], sums_));
      const auto stage = recall(all_are_kept(), [&] { return sums(); });
      const auto gradients = pull(stage, {of_sums}, false);
      add_to_geometry(adjoints[0], gradients, all_, n_geometry);
      adjoints[0].m.add(gradients.back(), 0, graph_.n_edges);   // the first moments are about the receiver, which has the energy: zero
    }
    for (int64_t k = stages_.n_blocks - 1; k >= 0; --k) {
      const auto of_moments = backward_of_block(k, adjoints);
      const auto stage = recall(all_are_kept(), [&] { return moments(k); });
      for (int a = 0; a < n_adjoints_; ++a) {
        const auto gradients = pull(stage, {of_moments[a]}, a + 1 < n_adjoints_);
        add_to_geometry(adjoints[a], gradients, all_, n_geometry);
        adjoints[a].m.add(gradients.back(), 0, graph_.n_edges);
      }
      moments_.pop_back();
      m_.pop_back();
    }
    for (size_t c = chunks_.size(); c-- > 0;) {
      const auto& chunk = chunks_[c];
      const auto stage = recall(is_kept(c), [&] { return edges(chunk); });
      for (int a = 0; a < n_adjoints_; ++a) {
        Tensors of_outputs;
        for (const auto& sum : adjoints[a].geometry) of_outputs.push_back(sum.of(chunk));
        of_outputs.push_back(adjoints[a].m.of(chunk));
        store_gradient(chunk, a, pull(stage, of_outputs, a + 1 < n_adjoints_)[0]);
      }
    }
  }

  /// Back through spin and mix of block k; the gradients with respect to the moments of atoms and ghosts.
  ///
  /// An edge's message is at home with its receiver i, the moments it comes from with its sender j. A first moment about x_i becomes one
  /// about x_j = x_i + r when r times the gradient is taken off; what stays with the edge keeps the one about x_i.
  Tensors backward_of_block(int64_t k, std::vector<Adjoint>& adjoints) {
    std::vector<Tensors> of_chunks(n_adjoints_);
    std::vector<Sum> of_earlier_m(n_adjoints_);
    for (size_t c = chunks_.size(); c-- > 0;) {
      const auto& chunk = chunks_[c];
      const auto stage = recall(is_kept(c), [&] { return block(chunk, k); });
      const auto of_message = or_zeros(adjoints[0].m.of(chunk), stage.outputs[0]);
      Tensors of_energy;
      for (int a = 0; a < n_adjoints_; ++a) {
        const auto along = a == 0 ? Tensor() : chunk.vectors.select(1, a - 1);
        auto of_output = of_message;
        if (a > 0) {
          of_output = times(along, -of_message);
          if (adjoints[a].m.defined()) of_output += adjoints[a].m.of(chunk);
        }
        auto gradients = pull(stage, {of_output}, a + 1 < n_adjoints_);
        of_chunks[a].push_back(or_zeros(gradients.back(), stage.inputs.back()));
        gradients.pop_back();
        const auto stays = [&](const Tensors& with_edge) {
          add_to_geometry(adjoints[a], with_edge, chunk, n_geometry + 1);
          of_earlier_m[a].add(with_edge.back(), chunk.first_edge, graph_.n_edges);
        };
        stays(gradients);
        if (a == 0) {
          of_energy = gradients;
        } else {
          Tensors moved;
          for (const auto& gradient : of_energy) moved.push_back(times(along, gradient));
          stays(moved);
        }
      }
    }
    Tensors of_moments;
    for (int a = 0; a < n_adjoints_; ++a) {
      adjoints[a].m = of_earlier_m[a];
      of_moments.push_back(of_nodes(of_chunks[a]));
    }
    return of_moments;
  }

  /// The gradients with respect to the moments, from those of the chunks in descending order.
  Tensor of_nodes(Tensors of_chunks) {
    std::reverse(of_chunks.begin(), of_chunks.end());
    auto rows = of_chunks.size() == 1 ? of_chunks[0] : torch::cat(of_chunks);
    if (senders_.defined()) {
      auto shape = rows.sizes().vec();
      shape[0] = graph_.n_atoms;
      rows = torch::zeros(shape, rows.options()).index_copy_(0, senders_, rows);
    }
    return with_ghosts(rows);
  }

  static Tensor or_zeros(const Tensor& gradient, const Tensor& like) { return gradient.defined() ? gradient : torch::zeros_like(like); }

  /// Gradients with respect to the stage's inputs, given those with respect to its outputs; undefined ones are zero.
  static Tensors pull(const Stage& stage, const Tensors& of_outputs, bool again) {
    Tensors outputs, given;
    for (size_t n = 0; n < stage.outputs.size(); ++n) {
      if (!of_outputs[n].defined() || !stage.outputs[n].requires_grad()) continue;
      outputs.push_back(stage.outputs[n]);
      given.push_back(of_outputs[n]);
    }
    if (outputs.empty()) return Tensors(stage.inputs.size());
    return torch::autograd::grad(outputs, stage.inputs, given, again, false, true);
  }

  static Tensor times(const Tensor& of_edge, const Tensor& rows) {
    if (!rows.defined()) return rows;
    auto shape = std::vector<int64_t>(rows.dim(), 1);
    shape[0] = of_edge.size(0);
    return of_edge.view(shape) * rows;
  }

  /// The first `n` gradients, which are those of the geometry and, after it, of t.
  void add_to_geometry(Adjoint& adjoint, const Tensors& gradients, const Chunk& chunk, size_t n) const {
    for (size_t part = 0; part < n; ++part) adjoint.geometry[part].add(gradients[part], chunk.first_edge, graph_.n_edges);
  }

  // ---- results

  void store(const Tensor& energies) {
    if (energies.numel() != graph_.n_atoms) throw Error("the model gave no energy per atom; export it again");
    const auto here = energies.detach().to(torch::kCPU, torch::kFloat64).contiguous();
    std::copy_n(here.const_data_ptr<double>(), graph_.n_atoms, result_.atom_energies.data());
    for (const auto energy : result_.atom_energies) result_.energy += energy;
  }

  void store_gradient(const Chunk& chunk, int adjoint, const Tensor& gradient) {
    if (!gradient.defined()) return;   // zeros are there already
    const auto here = gradient.to(torch::kCPU, torch::kFloat64).contiguous();   // (n_edges, 3)
    const double* from = here.const_data_ptr<double>();
    double* to = adjoint == 0 ? result_.edge_gradients.data() : result_.centroid.data() + 3 * (adjoint - 1);
    const int64_t stride = adjoint == 0 ? 3 : 9;
    for (int64_t n = 0; n < chunk.n_edges; ++n) {
      const auto edge = order_.empty() ? n : order_[chunk.first_edge + n];
      std::copy_n(from + 3 * n, 3, to + stride * edge);
    }
  }

  // ---- exchanges

  // The sums are the last that come from ghosts, and the first that go to them.

  void from_ghosts(const Tensor& rows) {
    const auto width = n_from_ghosts_left_-- == 1 ? stages_.n_sums : stages_.n_moments;
    if (stages_.dtype == torch::kFloat32) {
      request_.exchange->from_ghosts(rows.data_ptr<float>(), width);
    } else {
      request_.exchange->from_ghosts(rows.data_ptr<double>(), width);
    }
  }

  void to_ghosts(const Tensor& rows) {
    const auto width = n_to_ghosts_left_-- == n_to_ghosts_ ? stages_.n_sums : stages_.n_moments;
    if (stages_.dtype == torch::kFloat32) {
      request_.exchange->to_ghosts(rows.data_ptr<float>(), width);
    } else {
      request_.exchange->to_ghosts(rows.data_ptr<double>(), width);
    }
  }

  const Stages& stages_;
  const Graph& graph_;
  const Request& request_;
  Result& result_;
  const int n_adjoints_;
  int64_t n_from_ghosts_left_, n_to_ghosts_, n_to_ghosts_left_;

  std::vector<Chunk> chunks_;
  Chunk all_;                            // all edges; of its members those that say which
  std::vector<int64_t> order_;           // the edges by sender; empty: as they came
  Tensor numbers_;                       // (n_atoms + n_ghosts,)
  Tensor senders_;                       // (n_senders,), atoms in the order of chunks; undefined: all atoms as they are numbered
  Tensor numbers_of_senders_;            // (n_senders,)
  Tensor j_, i_, vectors_;               // of all edges; j_ counts senders
  c10::IValue by_receiver_;              // tiles of all edges
  Tensors features_;                     // of all edges: the geometry, then t
  Tensors m_;                            // of all edges: messages before the first block, after it, ...
  Tensors moments_;                      // of every block: (n_senders, ...)
  Tensor sums_;                          // (n_atoms, channels)
  size_t first_kept_ = 0;                // chunk
  std::vector<Stage> kept_;              // in the order in which they ran
};

}  // namespace

void measure(Stages& stages, int64_t element) {
  at::NoGradGuard no_gradients;
  const auto none = torch::zeros({0}, torch::dtype(torch::kInt64).device(stages.device));
  const auto vectors = torch::zeros({0, 3}, torch::dtype(stages.dtype).device(stages.device));
  const auto made = stages.equations("edges", {vectors, none}).toTuple();
  const auto part = [&](size_t n) { return made->elements()[n].toTensor(); };
  const auto m = part(n_geometry + 1);
  constexpr int64_t one_atom = 1;
  const auto no_tiles = stages.equations("tiles", {none, one_atom});
  const auto sums = stages.equations("sums", {m, part(envelope), part(wall), none, one_atom}).toTensor();
  stages.n_sums = sums.numel();
  const auto moments = stages.equations("moments", {int64_t(0), m, part(envelope), part(harmonics), no_tiles, one_atom}).toTensor();
  stages.n_moments = moments.numel();
  for (int64_t k = 0; k < stages.n_blocks; ++k) {
    const auto h = stages.equations("spin", {k, moments, part(harmonics), no_tiles});
    stages.equations("mix", {k, h, m, part(n_geometry), none});
  }
  stages.equations("readout", {sums, torch::full({1}, element, none.options())});
}

void evaluate_by_stages(const Stages& stages, const Graph& graph, const Request& request, Result& result) {
  const PlainTorch plain;
  Evaluation evaluation(stages, graph, request, result);
  try {
    check_distances(graph, request.name);
    evaluation.run();
  } catch (...) {
    evaluation.finish_exchanges();
    throw;
  }
}

}  // namespace spinconv
