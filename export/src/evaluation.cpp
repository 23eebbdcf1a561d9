// The chain rule by hand over the stages of the file, which is what lets other processes have their say between them:
//
//   forward   edges -> [moments -> to_ghosts -> block] x n_blocks -> readout        (block: spin and mix)
//   backward  readout -> [block -> from_ghosts -> moments] x n_blocks -> edges
//
// Within a stage torch differentiates, on this thread. With one chunk of edges every stage is kept until its turn in the backward
// pass; with several it is run again there, and only what passes between stages stays in memory.
// SPDX-License-Identifier: MIT
#include "evaluation.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <array>
#include <utility>

namespace spinconv {
namespace {

using torch::Tensor;
using Tensors = std::vector<Tensor>;

/// A run of edges with all the edges of the atoms that receive them.
struct Chunk {
  int64_t first_atom = 0, n_atoms = 0, first_edge = 0, n_edges = 0;
  Tensor vectors;                 // (n_edges, 3), working precision
  Tensor numbers;                 // (n_atoms,)
  Tensor numbers_j, numbers_i;    // (n_edges,)
  Tensor j;                       // (n_edges,), row of the sender in the moments that spin gets
  Tensor i;                       // (n_edges,), counted from first_atom
  Tensor senders;                 // (n_senders,), atoms or ghosts; undefined: spin gets the moments of all
};

/// A stage that has run: its inputs are leaves.
struct Stage {
  Tensors inputs, outputs;
};

/// A sum of gradients. The first term may be shared with others and is not written to.
class Sum {
 public:
  void add(const Tensor& term) {
    if (!term.defined()) return;
    if (!sum_.defined()) {
      sum_ = term;
    } else if (!own_) {
      sum_ = sum_ + term;
      own_ = true;
    } else {
      sum_.add_(term);
    }
  }
  void set(Tensor value) { sum_ = std::move(value), own_ = false; }
  const Tensor& get() const { return sum_; }

 private:
  Tensor sum_;
  bool own_ = false;
};

/// Of one chunk, the gradients with respect to what passes between its stages.
struct Adjoint {
  std::vector<Sum> geometry;   // and t, last
  Sum m;
};

/// The energy, and the three components of its first moment about the receiving atom.
constexpr int max_adjoints = 4;

class Evaluation {
 public:
  Evaluation(const Stages& stages, const Graph& graph, const Request& request, Result& result)
      : stages_(stages), graph_(graph), request_(request), result_(result),
        n_adjoints_(!request.gradients ? 0 : request.centroid ? max_adjoints : 1),
        n_to_ghosts_left_(request.exchange ? stages.n_blocks : 0),
        n_from_ghosts_left_(request.exchange ? stages.n_blocks * n_adjoints_ : 0) {}

  void run() {
    clear_result();
    cut_into_chunks();
    if (chunks_.empty()) return finish_exchanges();
    const bool has_gradients = n_adjoints_ > 0 && graph_.n_edges > 0;
    keeps_stages_ = has_gradients && chunks_.size() == 1;
    {
      at::AutoGradMode with_gradients(keeps_stages_);
      forward();
    }
    if (has_gradients) {
      at::AutoGradMode with_gradients(true);
      backward();
    }
    finish_exchanges();   // a process without edges still owes them
  }

  /// Makes the exchanges that are left, with zeros: the others wait for them.
  void finish_exchanges() {
    if (n_to_ghosts_left_ + n_from_ghosts_left_ == 0) return;
    auto rows = torch::zeros({graph_.n_atoms + graph_.n_ghosts, stages_.n_moments}, stages_.dtype);
    while (n_to_ghosts_left_ > 0) to_ghosts(rows), rows.zero_();
    while (n_from_ghosts_left_ > 0) from_ghosts(rows), rows.zero_();
  }

 private:
  void clear_result() {
    result_.energy = 0.0;
    result_.atom_energies.assign(graph_.n_atoms, 0.0);
    result_.edge_gradients.assign(request_.gradients ? 3 * graph_.n_edges : 0, 0.0);
    result_.centroid.assign(request_.gradients && request_.centroid ? 9 * graph_.n_edges : 0, 0.0);
  }

  // ---- the edges in chunks

  Tensor upload(const int64_t* data, int64_t n) const {
    return torch::from_blob(const_cast<int64_t*>(data), {n}, torch::kInt64).to(stages_.device, torch::kInt64, false, true);
  }

  void cut_into_chunks() {
    const auto n_edges = graph_.n_edges;
    numbers_ = upload(graph_.numbers, graph_.n_atoms + graph_.n_ghosts);
    const bool all_at_once = request_.chunk <= 0 || n_edges <= request_.chunk;
    if (all_at_once) {
      if (graph_.n_atoms > 0) chunks_.push_back(make_chunk(0, graph_.n_atoms, 0, n_edges));
      return;
    }
    if (!std::is_sorted(graph_.target, graph_.target + n_edges)) throw Error("edges must be in ascending order of target to be evaluated in chunks");
    const int64_t n_chunks = (n_edges + request_.chunk - 1) / request_.chunk;
    const int64_t wanted = (n_edges + n_chunks - 1) / n_chunks;
    row_of_sender_.assign(graph_.n_atoms + graph_.n_ghosts, -1);
    int64_t first_atom = 0, first_edge = 0, edge = 0;
    for (int64_t atom = 0; atom < graph_.n_atoms; ++atom) {
      const auto before = edge;
      while (edge < n_edges && graph_.target[edge] == atom) ++edge;
      const bool too_many = edge - first_edge > request_.chunk && atom > first_atom;
      if (too_many) {
        chunks_.push_back(make_chunk(first_atom, atom - first_atom, first_edge, before - first_edge));
        first_atom = atom, first_edge = before;
      }
      const bool enough = edge - first_edge >= wanted;
      if (!enough && atom + 1 < graph_.n_atoms) continue;
      chunks_.push_back(make_chunk(first_atom, atom + 1 - first_atom, first_edge, edge - first_edge));
      first_atom = atom + 1, first_edge = edge;
    }
  }

  Chunk make_chunk(int64_t first_atom, int64_t n_atoms, int64_t first_edge, int64_t n_edges) {
    Chunk chunk;
    chunk.first_atom = first_atom, chunk.n_atoms = n_atoms, chunk.first_edge = first_edge, chunk.n_edges = n_edges;
    const auto* vectors = graph_.vectors + 3 * first_edge;
    chunk.vectors = torch::from_blob(const_cast<double*>(vectors), {n_edges, 3}, torch::kFloat64).to(stages_.device, stages_.dtype);
    chunk.numbers = numbers_.narrow(0, first_atom, n_atoms);
    chunk.j = upload(graph_.source + first_edge, n_edges);
    chunk.i = upload(graph_.target + first_edge, n_edges);
    chunk.numbers_j = numbers_.index_select(0, chunk.j);
    chunk.numbers_i = numbers_.index_select(0, chunk.i);
    const bool is_part = n_edges < graph_.n_edges;
    if (is_part) {
      chunk.i.sub_(first_atom);
      find_senders(chunk);
    }
    return chunk;
  }

  void find_senders(Chunk& chunk) {
    std::vector<int64_t> senders, rows(chunk.n_edges);
    for (int64_t e = 0; e < chunk.n_edges; ++e) {
      const auto sender = graph_.source[chunk.first_edge + e];
      if (row_of_sender_[sender] < 0) {
        row_of_sender_[sender] = static_cast<int64_t>(senders.size());
        senders.push_back(sender);
      }
      rows[e] = row_of_sender_[sender];
    }
    for (const auto sender : senders) row_of_sender_[sender] = -1;
    chunk.senders = upload(senders.data(), static_cast<int64_t>(senders.size()));
    chunk.j = upload(rows.data(), chunk.n_edges);
  }

  // ---- the stages

  c10::IValue call(const char* method, std::vector<c10::IValue> arguments) const {
    return stages_.module.get_method(method)(std::move(arguments));
  }

  static Tensor leaf(const Tensor& tensor) { return tensor.detach().requires_grad_(at::GradMode::is_enabled()); }

  /// Leaves for a stage: the geometry, t where `with_t`, and what else passes in.
  Tensors leaves(size_t c, bool with_t, const Tensors& others) const {
    Tensors inputs;
    const auto& features = features_[c];
    for (size_t n = 0; n < features.size() - (with_t ? 0 : 1); ++n) inputs.push_back(leaf(features[n]));
    for (const auto& other : others) inputs.push_back(leaf(other));
    return inputs;
  }

  c10::IValue geometry(const Tensors& inputs) const {
    std::vector<c10::IValue> parts(inputs.begin(), inputs.begin() + n_geometry());
    return c10::ivalue::Tuple::createNamed(std::move(parts), geometry_type_);
  }

  size_t n_geometry() const { return geometry_type_->elements().size(); }

  Stage edges(const Chunk& chunk) {
    Stage stage{{leaf(chunk.vectors)}, {}};
    const auto made = call("edges", {stage.inputs[0], chunk.numbers_j, chunk.numbers_i}).toTuple();
    const auto parts = made->elements()[0].toTuple();
    geometry_type_ = parts->type();
    for (const auto& part : parts->elements()) stage.outputs.push_back(part.toTensor());
    stage.outputs.push_back(made->elements()[1].toTensor());   // t
    stage.outputs.push_back(made->elements()[2].toTensor());   // m
    return stage;
  }

  Stage moments(size_t c, int64_t k) {
    const auto& chunk = chunks_[c];
    Stage stage{leaves(c, false, {m_[c][k]}), {}};
    stage.outputs = {call("moments", {k, stage.inputs.back(), geometry(stage.inputs), chunk.i, chunk.n_atoms}).toTensor()};
    return stage;
  }

  Stage block(size_t c, int64_t k) {
    const auto& chunk = chunks_[c];
    const auto received = chunk.senders.defined() ? moments_[k].index_select(0, chunk.senders) : moments_[k];
    Stage stage{leaves(c, true, {m_[c][k], received}), {}};
    const auto& t = stage.inputs[n_geometry()];
    const auto& m = stage.inputs[n_geometry() + 1];
    const auto h = call("spin", {k, stage.inputs.back(), geometry(stage.inputs), chunk.j});
    stage.outputs = {call("mix", {k, h, m, t, chunk.numbers_j, chunk.numbers_i}).toTensor()};
    return stage;
  }

  Stage readout(size_t c) {
    const auto& chunk = chunks_[c];
    Stage stage{leaves(c, false, {m_[c].back()}), {}};
    stage.outputs = {call("readout", {stage.inputs.back(), geometry(stage.inputs), chunk.i, chunk.numbers}).toTensor()};
    return stage;
  }

  void keep(Stage stage) {
    if (keeps_stages_) kept_.push_back(std::move(stage));
  }

  /// The stage that comes now in the backward pass, kept or run again.
  template <class Run> Stage recall(Run&& run) {
    if (kept_.empty()) return run();
    auto stage = std::move(kept_.back());
    kept_.pop_back();
    return stage;
  }

  // ---- forward

  void forward() {
    for (const auto& chunk : chunks_) {
      auto stage = edges(chunk);
      Tensors features;
      for (size_t n = 0; n + 1 < stage.outputs.size(); ++n) features.push_back(stage.outputs[n].detach());
      features_.push_back(std::move(features));
      m_.push_back({stage.outputs.back().detach()});
      keep(std::move(stage));
    }
    for (int64_t k = 0; k < stages_.n_blocks; ++k) {
      moments_.push_back(moments_of_all(k));
      for (size_t c = 0; c < chunks_.size(); ++c) {
        auto stage = block(c, k);
        m_[c].push_back(stage.outputs[0].detach());
        keep(std::move(stage));
      }
    }
    for (size_t c = 0; c < chunks_.size(); ++c) {
      auto stage = readout(c);
      store(stage.outputs[0], chunks_[c].n_atoms, result_.atom_energies.data() + chunks_[c].first_atom);
      keep(std::move(stage));
    }
    for (const auto energy : result_.atom_energies) result_.energy += energy;
  }

  /// (n_atoms + n_ghosts, ...), with the ghosts' from where they are at home.
  Tensor moments_of_all(int64_t k) {
    Tensors parts;
    for (size_t c = 0; c < chunks_.size(); ++c) {
      auto stage = moments(c, k);
      parts.push_back(stage.outputs[0].detach());
      keep(std::move(stage));
    }
    if (!request_.exchange) return parts.size() == 1 ? parts[0] : torch::cat(parts);
    auto shape = parts[0].sizes().vec();
    shape[0] = graph_.n_ghosts;
    parts.push_back(torch::zeros(shape, parts[0].options()));
    const auto here = torch::cat(parts).to(torch::kCPU);
    to_ghosts(here);
    return here.to(stages_.device);
  }

  // ---- backward

  void backward() {
    std::vector<std::array<Adjoint, max_adjoints>> adjoints(chunks_.size());
    for (auto& of_chunk : adjoints)
      for (auto& adjoint : of_chunk) adjoint.geometry.resize(n_geometry() + 1);

    for (size_t c = chunks_.size(); c-- > 0;) {
      const auto stage = recall([&] { return readout(c); });
      const auto gradients = pull(stage, {torch::ones_like(stage.outputs[0])}, false);
      add_to_geometry(adjoints[c][0], gradients, Tensor());
      adjoints[c][0].m.set(gradients.back());
      for (int a = 1; a < n_adjoints_; ++a) adjoints[c][a].m.set(torch::zeros_like(gradients.back()));
    }
    for (int64_t k = stages_.n_blocks - 1; k >= 0; --k) {
      const auto of_moments = backward_of_block(k, adjoints);
      for (size_t c = chunks_.size(); c-- > 0;) {
        const auto& chunk = chunks_[c];
        const auto stage = recall([&] { return moments(c, k); });
        for (int a = 0; a < n_adjoints_; ++a) {
          const auto gradients = pull(stage, {of_moments[a].narrow(0, chunk.first_atom, chunk.n_atoms)}, a + 1 < n_adjoints_);
          add_to_geometry(adjoints[c][a], gradients, Tensor());
          adjoints[c][a].m.add(gradients.back());
        }
      }
      moments_.pop_back();
    }
    for (size_t c = chunks_.size(); c-- > 0;) {
      const auto stage = recall([&] { return edges(chunks_[c]); });
      for (int a = 0; a < n_adjoints_; ++a) {
        Tensors of_outputs;
        for (const auto& sum : adjoints[c][a].geometry) of_outputs.push_back(sum.get());
        of_outputs.push_back(adjoints[c][a].m.get());
        store_gradient(chunks_[c], a, pull(stage, of_outputs, a + 1 < n_adjoints_)[0]);
      }
      adjoints[c] = {};
    }
  }

  /// Back through spin and mix of block k; the gradients with respect to the moments of atoms, other processes' share included.
  ///
  /// An edge's message is at home with its receiver i, the moments it comes from with its sender j. A first moment about x_i becomes one
  /// about x_j = x_i + r when r times the gradient is taken off; what stays with the edge keeps the one about x_i.
  Tensors backward_of_block(int64_t k, std::vector<std::array<Adjoint, max_adjoints>>& adjoints) {
    Tensors of_moments(n_adjoints_);
    for (size_t c = chunks_.size(); c-- > 0;) {
      const auto& chunk = chunks_[c];
      const auto stage = recall([&] { return block(c, k); });
      const auto of_message = adjoints[c][0].m.get();
      Tensors of_energy;
      for (int a = 0; a < n_adjoints_; ++a) {
        auto& adjoint = adjoints[c][a];
        const auto along = a == 0 ? Tensor() : chunk.vectors.select(1, a - 1);
        const auto of_output = a == 0 ? of_message : adjoint.m.get() - times(along, of_message);
        const auto gradients = pull(stage, {of_output}, a + 1 < n_adjoints_);
        if (a == 0) of_energy = gradients;
        add_to_geometry(adjoint, gradients, Tensor());
        adjoint.m.set(gradients[n_geometry() + 1]);
        if (a > 0) {
          add_to_geometry(adjoint, of_energy, along);
          adjoint.m.add(times(along, of_energy[n_geometry() + 1]));
        }
        if (!chunk.senders.defined()) {
          of_moments[a] = gradients.back();
        } else {
          if (!of_moments[a].defined()) of_moments[a] = torch::zeros_like(moments_[k]);
          of_moments[a].index_add_(0, chunk.senders, gradients.back());
        }
      }
    }
    if (request_.exchange)
      for (auto& rows : of_moments) {
        const auto here = rows.to(torch::kCPU).contiguous();
        from_ghosts(here);
        rows = here.to(stages_.device);
      }
    return of_moments;
  }

  /// Gradients with respect to the stage's inputs, given those with respect to its outputs; undefined ones are zero.
  static Tensors pull(const Stage& stage, const Tensors& of_outputs, bool again) {
    Tensors outputs, given;
    for (size_t n = 0; n < stage.outputs.size(); ++n) {
      if (!of_outputs[n].defined() || !stage.outputs[n].requires_grad()) continue;
      outputs.push_back(stage.outputs[n]);
      given.push_back(of_outputs[n]);
    }
    return torch::autograd::grad(outputs, stage.inputs, given, again, false, true);
  }

  static Tensor times(const Tensor& of_edge, const Tensor& rows) {
    if (!rows.defined()) return rows;
    auto shape = std::vector<int64_t>(rows.dim(), 1);
    shape[0] = of_edge.size(0);
    return of_edge.view(shape) * rows;
  }

  /// The geometry's, and t's where the stage has it: the inputs that come first and are of the same number everywhere. Times `along`
  /// where that is given.
  void add_to_geometry(Adjoint& adjoint, const Tensors& gradients, const Tensor& along) const {
    const bool with_t = gradients.size() == n_geometry() + 3;   // of a block: the geometry, t, m and the moments
    for (size_t n = 0; n < n_geometry() + (with_t ? 1 : 0); ++n)
      if (gradients[n].defined()) adjoint.geometry[n].add(along.defined() ? times(along, gradients[n]) : gradients[n]);
  }

  // ---- results

  static void store(const Tensor& values, int64_t n, double* out) {
    if (values.numel() != n) throw Error("the model gave no energy per atom; export it again");
    const auto here = values.detach().to(torch::kCPU, torch::kFloat64).contiguous();
    std::copy_n(here.const_data_ptr<double>(), n, out);
  }

  void store_gradient(const Chunk& chunk, int adjoint, const Tensor& gradient) {
    if (!gradient.defined()) return;   // zeros are there already
    const auto here = gradient.to(torch::kCPU, torch::kFloat64).contiguous();   // (n_edges, 3)
    const double* from = here.const_data_ptr<double>();
    if (adjoint == 0) {
      std::copy_n(from, 3 * chunk.n_edges, result_.edge_gradients.data() + 3 * chunk.first_edge);
      return;
    }
    double* to = result_.centroid.data() + 9 * chunk.first_edge + 3 * (adjoint - 1);
    for (int64_t e = 0; e < chunk.n_edges; ++e) std::copy_n(from + 3 * e, 3, to + 9 * e);
  }

  // ---- exchanges

  void to_ghosts(const Tensor& rows) {
    --n_to_ghosts_left_;
    if (stages_.dtype == torch::kFloat32) {
      request_.exchange->to_ghosts(rows.data_ptr<float>(), stages_.n_moments);
    } else {
      request_.exchange->to_ghosts(rows.data_ptr<double>(), stages_.n_moments);
    }
  }

  void from_ghosts(const Tensor& rows) {
    --n_from_ghosts_left_;
    if (stages_.dtype == torch::kFloat32) {
      request_.exchange->from_ghosts(rows.data_ptr<float>(), stages_.n_moments);
    } else {
      request_.exchange->from_ghosts(rows.data_ptr<double>(), stages_.n_moments);
    }
  }

  const Stages& stages_;
  const Graph& graph_;
  const Request& request_;
  Result& result_;
  const int n_adjoints_;
  int64_t n_to_ghosts_left_, n_from_ghosts_left_;

  std::vector<Chunk> chunks_;
  std::vector<int64_t> row_of_sender_;   // scratch
  Tensor numbers_;                       // (n_atoms + n_ghosts,)
  c10::TupleTypePtr geometry_type_;
  std::vector<Tensors> features_;        // of every chunk: the geometry, then t
  std::vector<Tensors> m_;               // of every chunk: messages before the first block, after it, ...
  Tensors moments_;                      // of every block: (n_atoms + n_ghosts, ...)
  bool keeps_stages_ = false;
  std::vector<Stage> kept_;              // in the order in which they ran
};

}  // namespace

int64_t count_moments(const Stages& stages) {
  at::NoGradGuard no_gradients;
  const auto none = torch::zeros({0}, torch::dtype(torch::kInt64).device(stages.device));
  const auto vectors = torch::zeros({0, 3}, torch::dtype(stages.dtype).device(stages.device));
  const auto made = stages.module.get_method("edges")({vectors, none, none}).toTuple();
  const auto m = made->elements()[2].toTensor();
  return stages.module.get_method("moments")({int64_t(0), m, made->elements()[0], none, int64_t(1)}).toTensor().numel();
}

void evaluate_by_stages(const Stages& stages, const Graph& graph, const Request& request, Result& result) {
  // Without profiling and fusion: those would slow the first steps, again whenever sizes change, and gain nothing on a CPU.
  // The guard holds for this thread alone and puts back what was there.
  torch::jit::GraphOptimizerEnabledGuard optimizer_off(false);
  Evaluation evaluation(stages, graph, request, result);
  try {
    evaluation.run();
  } catch (...) {
    evaluation.finish_exchanges();
    throw;
  }
}

}  // namespace spinconv
