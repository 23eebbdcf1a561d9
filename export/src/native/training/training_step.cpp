// SPDX-License-Identifier: MIT
#include "training_step.h"

#include "../nuclear_wall.h"
#include "layers.h"
#include "levels.h"
#include "memory.h"
#include "radial.h"
#include "shares.h"
#include "stages.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cmath>

namespace spinconv::native {
namespace {

template <class T>
class TrainingStepOf : public TrainingStep<T> {
 public:
  TrainingStepOf(const Container& container, const std::vector<std::string>& names, const TrainingLevel& level, int threads)
      : level_(level.level), training_(level.kernels<T>()), kernels_(level.evaluation<T>()), parameters_(container), shape_(parameters_.shape), wall_(container),
        layers_(container, shape_, names), stages_(layers_, shape_.used), shares_(container.metadata.info.elements, threads),
        references_(container.metadata.reference_energies), scale_(container.metadata.scale),
        average_neighbors_(container.metadata.average_neighbors), cutoff_(container.metadata.info.cutoff), n_blocks_(container.metadata.info.n_blocks),
        n_elements_(static_cast<int64_t>(references_.size())), n_radial_(layers_.n_radial), radial_(padded(n_radial_)) {
    memory_.blocks.resize(n_blocks_);
  }

  const char* level() const override { return level_.name; }

  void evaluate(WeightArrays<T> weights, const TrainingGraph<T>& graph, double* energies, T* gradients) override {
    begin(weights, graph);
    forward<1>(nullptr);
    for (int64_t i = 0; i < graph.n_atoms; ++i) {
      const auto element = shares_.sorted.element[i];
      const T *of_atom = memory_.energies.get() + i * row_multiple, *alone = memory_.energies.get() + (graph.n_atoms + element) * row_multiple;
      energies[i] = references_[element] + scale_ * double(*of_atom - *alone);
    }
    for (int64_t n = 0; n < graph.n_atoms * row_multiple; ++n) memory_.of_energies.get()[n] = n % row_multiple == 0 ? static_cast<T>(scale_) : T(0);
    backward<1>();
    shares_.over_edges([&](int64_t first, int64_t n) { kernels_.geometry_back(shape_, parameters_.polynomials, memory_.edges, memory_.of_edges, first, n, memory_.gradients.get()); });
    for (int64_t e = 0; e < graph.n_edges; ++e) {
      double slope;
      energies[shares_.sorted.target[e]] += wall_(shares_.sorted.pair[e], memory_.edges.distances[e], slope);
      for (int c = 0; c < 3; ++c) gradients[3 * shares_.sorted.order[e] + c] = static_cast<T>(memory_.gradients.get()[3 * e + c] + slope * memory_.edges.directions[c * memory_.edges.stride + e]);
    }
  }

  void differentiate(WeightArrays<T> weights, const TrainingGraph<T>& graph, const double* of_energies, const T* of_gradients, T* const* of_weights) override {
    begin(weights, graph);
    for (auto& trainee : memory_.trainees) layers_.clear(trainee.learned);
    forward<2>(of_gradients);
    T* seeds = memory_.of_energies.zeros((graph.n_atoms + n_elements_) * 2 * row_multiple);
    for (int64_t i = 0; i < graph.n_atoms; ++i) {
      const auto of_energy = static_cast<T>(scale_ * of_energies[i]);
      seeds[2 * i * row_multiple] = static_cast<T>(scale_);
      seeds[(2 * i + 1) * row_multiple] = of_energy;
      seeds[(2 * (graph.n_atoms + shares_.sorted.element[i]) + 1) * row_multiple] -= of_energy;
    }
    backward<2>();
    for (const auto& trainee : memory_.trainees) layers_.unpack(trainee.learned, of_weights);
  }

 private:
  int64_t channels() const { return shape_.channels; }
  int64_t n_edges() const { return graph_->n_edges; }
  int64_t n_atoms() const { return graph_->n_atoms; }
  T factor_of_moments() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }
  T factor_of_sums() const { return static_cast<T>(1.0 / average_neighbors_); }

  void begin(WeightArrays<T> weights, const TrainingGraph<T>& graph) {
    graph_ = &graph;
    layers_.pack(weights);
    shares_.begin(graph, memory_.trainees);
  }

  /// A layer of the edges of a chunk: `in` and `out` are rows of all edges.
  template <int parts>
  void run(const Stage<T>& stage, const Chunk& chunk, const Buffer<T>& in, Buffer<T>& out, bool adds, Trainee<T>& trainee) {
    const int64_t first = chunk.first_edge * parts;
    training_.layer[parts - 1](stage.layer, chunk.n_edges, in.get() + first * stage.layer.in, shares_.sorted.pair.data() + chunk.first_edge, trainee.scratch.get(),
                               out.get() + first * stage.layer.out, adds);
  }

  /// And back, from `of_out` to `of_in`, rows of the chunk.
  template <int parts>
  void run_back(const Stage<T>& stage, const Chunk& chunk, const Buffer<T>& in, const T* of_out, T* of_in, bool adds, Trainee<T>& trainee) {
    LayerGradients<T> gradients;
    if constexpr (parts == 2) gradients = Layers<T>::gradients(stage.which, trainee.learned);
    training_.layer_back[parts - 1](stage.layer, chunk.n_edges, in.get() + chunk.first_edge * parts * stage.layer.in, shares_.sorted.pair.data() + chunk.first_edge, of_out,
                                    trainee.scratch.get(), of_in, adds, gradients);
  }

  // ---- forward

  template <int parts>
  void forward(const T* moves) {
    memory_.reserve(shape_, shares_.sorted, {n_atoms(), n_edges(), n_elements_, n_radial_, parts});
    geometry<parts>(moves);
    shares_.over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { first_messages<parts>(chunk, trainee); });
    for (int64_t k = 0; k < n_blocks_; ++k) {
      const T* messages = k == 0 ? memory_.messages.get() : memory_.blocks[k - 1].messages.get();
      shares_.over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>&) {
        T* moments = memory_.blocks[k].moments.get() + i * parts * shape_.n_low * channels();
        if constexpr (parts == 1) kernels_.moments(shape_, memory_.edges, into, n, factor_of_moments(), messages, moments);
        else training_.moments(shape_, memory_.edges, memory_.tangents, into, n, factor_of_moments(), messages, moments);
      });
      shares_.over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { block<parts>(k, chunk, trainee); });
    }
    const T* messages = memory_.blocks[n_blocks_ - 1].messages.get();
    shares_.over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>&) {
      T* sums = memory_.sums.get() + i * parts * channels();
      if constexpr (parts == 1) kernels_.sums(shape_, memory_.edges, into, n, factor_of_sums(), messages, sums);
      else training_.sums(shape_, memory_.edges, memory_.tangents, into, n, factor_of_sums(), messages, sums);
    });
    T* scratch = memory_.trainees[0].scratch.get();
    training_.layer[parts - 1](stages_.head[0].layer, n_atoms() + n_elements_, memory_.sums.get(), shares_.elements.data(), scratch, memory_.head.get(), false);
    training_.layer[parts - 1](stages_.head[1].layer, n_atoms() + n_elements_, memory_.head.get(), shares_.elements.data(), scratch, memory_.energies.get(), false);
  }

  template <int parts>
  void geometry(const T* moves) {
    shares_.over_edges([&](int64_t first, int64_t n) {
      for (int64_t e = first; e < first + n; ++e)
        for (int c = 0; c < 3; ++c) {
          memory_.vectors.get()[c * memory_.edges.stride + e] = graph_->vectors[3 * shares_.sorted.order[e] + c];
          if constexpr (parts == 2) memory_.moves.get()[c * memory_.edges.stride + e] = moves[3 * shares_.sorted.order[e] + c];
        }
      kernels_.geometry(shape_, parameters_.polynomials, parameters_.pairs, memory_.edges, first, n);
      if constexpr (parts == 2) training_.geometry(shape_, parameters_.polynomials, memory_.edges, memory_.tangents, first, n);
    });
  }

  template <int parts>
  void first_messages(const Chunk& chunk, Trainee<T>& trainee) {
    for (int64_t e = chunk.first_edge; e < chunk.first_edge + chunk.n_edges; ++e) {
      const T scale = layers_[layers_.scale][shares_.sorted.pair[e]];
      T* row = memory_.waves.get() + e * parts * radial_;
      bessel(scale * memory_.edges.shown[e] + layers_[layers_.offset][shares_.sorted.pair[e]], n_radial_, cutoff_, trainee.waves.get());
      for (int64_t n = 0; n < n_radial_; ++n) {
        row[n] = static_cast<T>(trainee.waves.get()[n].value);
        if constexpr (parts == 2) row[radial_ + n] = static_cast<T>(trainee.waves.get()[n].slope) * scale * memory_.tangents.shown[e];
      }
    }
    run<parts>(stages_.distance, chunk, memory_.waves, memory_.features, false, trainee);
    run<parts>(stages_.initial_distance[0], chunk, memory_.features, memory_.initial_distance, false, trainee);
    run<parts>(stages_.initial_distance[1], chunk, memory_.initial_distance, memory_.initial, false, trainee);
    run<parts>(stages_.initial_message[0], chunk, memory_.initial, memory_.initial_message, false, trainee);
    run<parts>(stages_.initial_message[1], chunk, memory_.initial_message, memory_.messages, false, trainee);
  }

  template <int parts>
  void block(int64_t k, const Chunk& chunk, Trainee<T>& trainee) {
    auto& rows = memory_.blocks[k];
    const auto& stages = stages_.blocks[k];
    shares_.over_senders(chunk, [&](int64_t j, int64_t first, int64_t n) {
      const T* moments = rows.moments.get() + j * parts * shape_.n_low * channels();
      T *polynomial = rows.polynomials.get() + j * parts * shape_.n_high * channels(), *responses = rows.responses.get() + first * parts * channels();
      if constexpr (parts == 1) kernels_.coupling(shape_, parameters_.couplings, stages.block, moments, trainee.scratch.get(), polynomial);
      else training_.coupling(shape_, parameters_.couplings, stages.block, moments, trainee.scratch.get(), polynomial);
      training_.spin[parts - 1](shape_, stages.bias, memory_.edges, memory_.tangents, first, n, polynomial, responses);
    });
    run<parts>(stages.of_neighborhood[0], chunk, rows.responses, rows.of_neighborhood, false, trainee);
    run<parts>(stages.of_neighborhood[1], chunk, rows.of_neighborhood, rows.sum, false, trainee);
    run<parts>(stages.of_distance[0], chunk, memory_.features, rows.of_distance, false, trainee);
    run<parts>(stages.of_distance[1], chunk, rows.of_distance, rows.sum, true, trainee);
    run<parts>(stages.to_message[0], chunk, rows.sum, rows.to_message, false, trainee);
    if (k > 0) {
      const int64_t first = chunk.first_edge * parts * channels();
      std::copy_n(memory_.blocks[k - 1].messages.get() + first, chunk.n_edges * parts * channels(), rows.messages.get() + first);
    }
    run<parts>(stages.to_message[1], chunk, rows.to_message, rows.messages, k > 0, trainee);
  }

  // ---- backward

  template <int parts>
  void backward() {
    head_back<parts>();
    for (int64_t k = n_blocks_ - 1; k >= 0; --k) {
      shares_.over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { block_back<parts>(k, chunk, trainee); });
      const T* messages = k == 0 ? memory_.messages.get() : memory_.blocks[k - 1].messages.get();
      shares_.over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>& trainee) {
        const T* of_moments = memory_.of_moments.get() + i * parts * shape_.n_low * channels();
        if constexpr (parts == 1) kernels_.moments_back(shape_, memory_.edges, into, n, factor_of_moments(), messages, of_moments, trainee.scratch.get(), memory_.of_edges, true);
        else training_.moments_back(shape_, memory_.edges, memory_.tangents, into, n, factor_of_moments(), of_moments, memory_.of_edges.messages);
      });
    }
    shares_.over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { first_messages_back<parts>(chunk, trainee); });
  }

  template <int parts>
  void head_back() {
    const int64_t n = n_atoms() + (parts == 2 ? n_elements_ : 0);
    auto& trainee = memory_.trainees[0];
    LayerGradients<T> gradients[2];
    if constexpr (parts == 2)
      for (int l = 0; l < 2; ++l) gradients[l] = Layers<T>::gradients(stages_.head[l].which, trainee.learned);
    training_.layer_back[parts - 1](stages_.head[1].layer, n, memory_.head.get(), shares_.elements.data(), memory_.of_energies.get(), trainee.scratch.get(), memory_.of_head.get(), false, gradients[1]);
    training_.layer_back[parts - 1](stages_.head[0].layer, n, memory_.sums.get(), shares_.elements.data(), memory_.of_head.get(), trainee.scratch.get(), memory_.of_sums.get(), false, gradients[0]);
    if constexpr (parts == 1)
      shares_.over_chunks([&](const Chunk& chunk, Trainee<T>&) {
        kernels_.sums_back(shape_, memory_.edges, shares_.sorted.target.data(), chunk.first_edge, chunk.n_edges, factor_of_sums(),
                           memory_.blocks[n_blocks_ - 1].messages.get(), memory_.of_sums.get(), memory_.of_edges);
      });
    else
      shares_.over_atoms([&](int64_t i, const int32_t* into, int64_t n_into, Trainee<T>&) {
        training_.sums_back(shape_, memory_.edges, memory_.tangents, into, n_into, factor_of_sums(), memory_.of_sums.get() + i * parts * channels(), memory_.of_edges.messages);
      });
  }

  /// From what is passed back to the messages after block k to the moments of a chunk's senders, and to the features of the distance.
  template <int parts>
  void block_back(int64_t k, const Chunk& chunk, Trainee<T>& trainee) {
    auto& rows = memory_.blocks[k];
    const auto& stages = stages_.blocks[k];
    const int64_t first_row = chunk.first_edge * parts * channels();
    T *of_messages = memory_.of_edges.messages + first_row, *a = trainee.passed[0].get(), *of_sum = trainee.passed[1].get(), *of_responses = trainee.passed[2].get();
    run_back<parts>(stages.to_message[1], chunk, rows.to_message, of_messages, a, false, trainee);
    run_back<parts>(stages.to_message[0], chunk, rows.sum, a, of_sum, false, trainee);
    if (k == 0) std::fill_n(of_messages, chunk.n_edges * parts * channels(), T(0));   // the first block passes no messages on
    run_back<parts>(stages.of_distance[1], chunk, rows.of_distance, of_sum, a, false, trainee);
    run_back<parts>(stages.of_distance[0], chunk, memory_.features, a, memory_.of_features.get() + first_row, true, trainee);
    run_back<parts>(stages.of_neighborhood[1], chunk, rows.of_neighborhood, of_sum, a, false, trainee);
    run_back<parts>(stages.of_neighborhood[0], chunk, rows.responses, a, of_responses, false, trainee);
    shares_.over_senders(chunk, [&](int64_t j, int64_t first, int64_t n) {
      const int64_t at = j * parts * channels();
      const T *moments = rows.moments.get() + at * shape_.n_low, *polynomial = rows.polynomials.get() + at * shape_.n_high;
      const T* of = of_responses + (first - chunk.first_edge) * parts * channels();
      T *of_moments = memory_.of_moments.get() + at * shape_.n_low, *of_polynomial = trainee.of_polynomial.get(), *scratch = trainee.scratch.get();
      if constexpr (parts == 1) {
        kernels_.spin_back(shape_, first, n, polynomial, of, scratch, memory_.of_edges, true);
        kernels_.spin_back_polynomial(shape_, memory_.edges, first, n, of, of_polynomial);
        kernels_.coupling_back(shape_, parameters_.couplings, stages.block, moments, of_polynomial, scratch, of_moments);
      } else {
        training_.spin_back(shape_, memory_.edges, memory_.tangents, first, n, of, of_polynomial, trainee.learned[stages.bias_index].get());
        training_.coupling_back(shape_, parameters_.couplings, stages.block, moments, of_polynomial, scratch, of_moments, trainee.learned[stages.kernels_index].get());
      }
    });
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j)
      if (shares_.sorted.first_sent[j] == shares_.sorted.first_sent[j + 1]) std::fill_n(memory_.of_moments.get() + j * parts * shape_.n_low * channels(), parts * shape_.n_low * channels(), T(0));
  }

  template <int parts>
  void first_messages_back(const Chunk& chunk, Trainee<T>& trainee) {
    const int64_t first_row = chunk.first_edge * parts * channels();
    T *a = trainee.passed[0].get(), *b = trainee.passed[1].get(), *of_waves = trainee.passed[2].get();
    run_back<parts>(stages_.initial_message[1], chunk, memory_.initial_message, memory_.of_edges.messages + first_row, a, false, trainee);
    run_back<parts>(stages_.initial_message[0], chunk, memory_.initial, a, b, false, trainee);
    run_back<parts>(stages_.initial_distance[1], chunk, memory_.initial_distance, b, a, false, trainee);
    run_back<parts>(stages_.initial_distance[0], chunk, memory_.features, a, memory_.of_features.get() + first_row, true, trainee);
    run_back<parts>(stages_.distance, chunk, memory_.waves, memory_.of_features.get() + first_row, of_waves, false, trainee);
    for (int64_t e = chunk.first_edge; e < chunk.first_edge + chunk.n_edges; ++e) distance_back<parts>(e, of_waves + (e - chunk.first_edge) * parts * radial_, trainee);
  }

  /// From the waves of an edge to the distance that it is shown, or to what scales and shifts that.
  template <int parts>
  void distance_back(int64_t e, const T* of_waves, Trainee<T>& trainee) {
    const int64_t pair = shares_.sorted.pair[e];
    const T scale = layers_[layers_.scale][pair];
    bessel(scale * memory_.edges.shown[e] + layers_[layers_.offset][pair], n_radial_, cutoff_, trainee.waves.get());
    double of_x = 0.0, of_x_tangent = 0.0;
    for (int64_t n = 0; n < n_radial_; ++n) {
      const Jet& wave = trainee.waves.get()[n];
      of_x += of_waves[n] * wave.slope;
      if constexpr (parts == 2) of_x_tangent += of_waves[radial_ + n] * wave.slope + of_waves[n] * wave.curvature * scale * memory_.tangents.shown[e];
    }
    if constexpr (parts == 1) {
      memory_.of_edges.shown[e] += static_cast<T>(of_x * scale);
    } else {
      trainee.learned[layers_.scale].get()[pair] += static_cast<T>(memory_.edges.shown[e] * of_x_tangent + memory_.tangents.shown[e] * of_x);
      trainee.learned[layers_.offset].get()[pair] += static_cast<T>(of_x_tangent);
    }
  }

  const Level level_;
  const TrainingKernels<T>& training_;
  const Kernels<T>& kernels_;
  const Parameters<T> parameters_;   // of which the constants are used
  const Shape shape_;
  const NuclearWall wall_;
  Layers<T> layers_;
  const Stages<T> stages_;
  Shares<T> shares_;
  const std::vector<double> references_;
  const double scale_, average_neighbors_, cutoff_;
  const int64_t n_blocks_, n_elements_, n_radial_, radial_;

  const TrainingGraph<T>* graph_ = nullptr;
  StepMemory<T> memory_;
};

}  // namespace

template <class T>
std::unique_ptr<TrainingStep<T>> make_training_step(const Container& container, const std::vector<std::string>& names, int threads, const std::string& wanted) {
  if (const auto level = training_level_here(wanted))
    return std::make_unique<TrainingStepOf<T>>(container, names, *level, threads);
  return nullptr;
}

template std::unique_ptr<TrainingStep<float>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);
template std::unique_ptr<TrainingStep<double>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);

}  // namespace spinconv::native
