// SPDX-License-Identifier: MIT
#include "training_step.h"

#include "../nuclear_wall.h"
#include "../sorted_edges.h"
#include "../team.h"
#include "layers.h"
#include "levels.h"
#include "memory.h"
#include "radial.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cmath>

namespace spinconv::native {
namespace {

constexpr int64_t nodes_at_once = 16;
constexpr int64_t edges_at_once = 256;        // a multiple of every vector
constexpr int64_t edges_for_a_thread = 200;   // fewer are not worth waking one

template <class T>
struct Stage {
  LayerOf which;
  Layer<T> layer;
};

template <class T>
struct BlockStages {
  Stage<T> of_neighborhood[2], of_distance[2], to_message[2];
  Block<T> block;   // its kernels
  const T* bias;
  int64_t kernels, bias_index;
};

template <class T>
class TrainingStepOf : public TrainingStep<T> {
 public:
  TrainingStepOf(const Container& container, const std::vector<std::string>& names, const TrainingLevel& level, const TrainingKernels<T>& training, const Kernels<T>& kernels,
                 int threads)
      : level_(level.level), training_(training), kernels_(kernels), threads_(threads), parameters_(container), shape_(parameters_.shape), wall_(container),
        layers_(container, shape_, names), references_(container.metadata.reference_energies), scale_(container.metadata.scale),
        average_neighbors_(container.metadata.average_neighbors), cutoff_(container.metadata.info.cutoff), n_blocks_(container.metadata.info.n_blocks),
        n_elements_(static_cast<int64_t>(references_.size())), n_radial_(layers_.n_radial), radial_(padded(n_radial_)) {
    memory_.blocks.resize(n_blocks_);
    const auto& elements = container.metadata.info.elements;
    element_of_.assign(*std::max_element(elements.begin(), elements.end()) + 1, -1);
    for (size_t n = 0; n < elements.size(); ++n) element_of_[elements[n]] = static_cast<int32_t>(n);
    make_stages();
  }

  const char* level() const override { return level_.name; }

  void evaluate(WeightArrays<T> weights, const TrainingGraph<T>& graph, double* energies, T* gradients) override {
    begin(weights, graph);
    forward<1>(nullptr);
    for (int64_t i = 0; i < graph.n_atoms; ++i) {
      const auto element = sorted_.element[i];
      const T *of_atom = memory_.energies.get() + i * row_multiple, *alone = memory_.energies.get() + (graph.n_atoms + element) * row_multiple;
      energies[i] = references_[element] + scale_ * double(*of_atom - *alone);
    }
    for (int64_t n = 0; n < graph.n_atoms * row_multiple; ++n) memory_.of_energies.get()[n] = n % row_multiple == 0 ? static_cast<T>(scale_) : T(0);
    backward<1>();
    over_edges([&](int64_t first, int64_t n) { kernels_.geometry_back(shape_, parameters_.polynomials, memory_.edges, memory_.of_edges, first, n, memory_.gradients.get()); });
    for (int64_t e = 0; e < graph.n_edges; ++e) {
      double slope;
      energies[sorted_.target[e]] += wall_(sorted_.pair[e], memory_.edges.distances[e], slope);
      for (int c = 0; c < 3; ++c) gradients[3 * sorted_.order[e] + c] = static_cast<T>(memory_.gradients.get()[3 * e + c] + slope * memory_.edges.directions[c * memory_.edges.stride + e]);
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
      seeds[(2 * (graph.n_atoms + sorted_.element[i]) + 1) * row_multiple] -= of_energy;
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

  void make_stages() {
    const auto stage = [&](const LayerOf& which, bool is_activated, int64_t n_out = 0) {
      return Stage<T>{which, layers_.layer(which, shape_.used, n_out ? n_out : shape_.used, is_activated)};
    };
    distance_ = {layers_.distance, layers_.layer(layers_.distance, n_radial_, shape_.used, false)};
    initial_distance_[0] = stage(layers_.initial_distance[0], true);
    initial_distance_[1] = stage(layers_.initial_distance[1], true);
    initial_message_[0] = stage(layers_.initial_message[0], false);
    initial_message_[1] = stage(layers_.initial_message[1], true);
    for (const auto& block : layers_.blocks) {
      BlockStages<T> stages;
      for (int n = 0; n < 2; ++n) {
        stages.of_neighborhood[n] = stage(block.of_neighborhood[n], true);
        stages.of_distance[n] = stage(block.of_distance[n], n == 1);
        stages.to_message[n] = stage(block.to_message[n], true);
      }
      stages.block.kernels = layers_[block.kernels];
      stages.bias = layers_[block.bias];
      stages.kernels = block.kernels, stages.bias_index = block.bias;
      blocks_.push_back(stages);
    }
    head_[0] = stage(layers_.energy[0], false);
    head_[1] = stage(layers_.energy[1], true, 1);
  }

  // ---- a batch, and memory for it

  void begin(WeightArrays<T> weights, const TrainingGraph<T>& graph) {
    graph_ = &graph;
    layers_.pack(weights);
    Graph sortable;
    sortable.n_atoms = graph.n_atoms, sortable.n_edges = graph.n_edges;
    sortable.numbers = graph.numbers, sortable.source = graph.source, sortable.target = graph.target;
    sorted_.sort(sortable, element_of_, static_cast<int32_t>(n_elements_));
    elements_ = sorted_.element;
    for (int64_t element = 0; element < n_elements_; ++element) elements_.push_back(static_cast<int32_t>(element));   // the atoms alone, after the others
    team_.resize(static_cast<int>(std::clamp<int64_t>(graph.n_edges / edges_for_a_thread, 1, threads_)));
    memory_.trainees.resize(team_.size());
  }

  // ---- tasks: who does one depends on its number alone, so that what the weights learn is added up in the same order at every run

  template <class Task>
  void share_out(int64_t n, Task&& task) {
    team_.run(team_.size(), [&](int64_t share, int) {
      for (int64_t k = share; k < n; k += team_.size()) task(k, memory_.trainees[share]);
    });
  }

  template <class Task>
  void over_edges(Task&& task) {
    share_out((n_edges() + edges_at_once - 1) / edges_at_once, [&](int64_t k, Trainee<T>&) { task(k * edges_at_once, std::min(edges_at_once, n_edges() - k * edges_at_once)); });
  }

  template <class Task>
  void over_chunks(Task&& task) {
    share_out(static_cast<int64_t>(sorted_.chunks.size()), [&](int64_t k, Trainee<T>& trainee) { task(sorted_.chunks[k], trainee); });
  }

  template <class Task>
  void over_atoms(Task&& task) {
    share_out((n_atoms() + nodes_at_once - 1) / nodes_at_once, [&](int64_t k, Trainee<T>& trainee) {
      for (int64_t i = k * nodes_at_once; i < std::min((k + 1) * nodes_at_once, n_atoms()); ++i)
        task(i, sorted_.received.data() + sorted_.first_received[i], sorted_.first_received[i + 1] - sorted_.first_received[i], trainee);
    });
  }

  template <class Task>
  void over_senders(const Chunk& chunk, Task&& task) {
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j)
      if (const int64_t n = sorted_.first_sent[j + 1] - sorted_.first_sent[j]; n > 0) task(j, sorted_.first_sent[j], n);
  }

  /// A layer of the edges of a chunk: `in` and `out` are rows of all edges.
  template <int parts>
  void run(const Stage<T>& stage, const Chunk& chunk, const Buffer<T>& in, Buffer<T>& out, bool adds, Trainee<T>& trainee) {
    const int64_t first = chunk.first_edge * parts;
    training_.layer[parts - 1](stage.layer, chunk.n_edges, in.get() + first * stage.layer.in, sorted_.pair.data() + chunk.first_edge, trainee.scratch.get(),
                               out.get() + first * stage.layer.out, adds);
  }

  /// And back, from `of_out` to `of_in`, rows of the chunk.
  template <int parts>
  void run_back(const Stage<T>& stage, const Chunk& chunk, const Buffer<T>& in, const T* of_out, T* of_in, bool adds, Trainee<T>& trainee) {
    LayerGradients<T> gradients;
    if constexpr (parts == 2) gradients = Layers<T>::gradients(stage.which, trainee.learned);
    training_.layer_back[parts - 1](stage.layer, chunk.n_edges, in.get() + chunk.first_edge * parts * stage.layer.in, sorted_.pair.data() + chunk.first_edge, of_out,
                                    trainee.scratch.get(), of_in, adds, gradients);
  }

  // ---- forward

  template <int parts>
  void forward(const T* moves) {
    memory_.reserve(shape_, sorted_, {n_atoms(), n_edges(), n_elements_, n_radial_, parts});
    geometry<parts>(moves);
    over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { first_messages<parts>(chunk, trainee); });
    for (int64_t k = 0; k < n_blocks_; ++k) {
      const T* messages = k == 0 ? memory_.messages.get() : memory_.blocks[k - 1].messages.get();
      over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>&) {
        T* moments = memory_.blocks[k].moments.get() + i * parts * shape_.n_low * channels();
        if constexpr (parts == 1) kernels_.moments(shape_, memory_.edges, into, n, factor_of_moments(), messages, moments);
        else training_.moments(shape_, memory_.edges, memory_.tangents, into, n, factor_of_moments(), messages, moments);
      });
      over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { block<parts>(k, chunk, trainee); });
    }
    const T* messages = memory_.blocks[n_blocks_ - 1].messages.get();
    over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>&) {
      T* sums = memory_.sums.get() + i * parts * channels();
      if constexpr (parts == 1) kernels_.sums(shape_, memory_.edges, into, n, factor_of_sums(), messages, sums);
      else training_.sums(shape_, memory_.edges, memory_.tangents, into, n, factor_of_sums(), messages, sums);
    });
    T* scratch = memory_.trainees[0].scratch.get();
    training_.layer[parts - 1](head_[0].layer, n_atoms() + n_elements_, memory_.sums.get(), elements_.data(), scratch, memory_.head.get(), false);
    training_.layer[parts - 1](head_[1].layer, n_atoms() + n_elements_, memory_.head.get(), elements_.data(), scratch, memory_.energies.get(), false);
  }

  template <int parts>
  void geometry(const T* moves) {
    over_edges([&](int64_t first, int64_t n) {
      for (int64_t e = first; e < first + n; ++e)
        for (int c = 0; c < 3; ++c) {
          memory_.vectors.get()[c * memory_.edges.stride + e] = graph_->vectors[3 * sorted_.order[e] + c];
          if constexpr (parts == 2) memory_.moves.get()[c * memory_.edges.stride + e] = moves[3 * sorted_.order[e] + c];
        }
      kernels_.geometry(shape_, parameters_.polynomials, parameters_.pairs, memory_.edges, first, n);
      if constexpr (parts == 2) training_.geometry(shape_, parameters_.polynomials, memory_.edges, memory_.tangents, first, n);
    });
  }

  template <int parts>
  void first_messages(const Chunk& chunk, Trainee<T>& trainee) {
    for (int64_t e = chunk.first_edge; e < chunk.first_edge + chunk.n_edges; ++e) {
      const T scale = layers_[layers_.scale][sorted_.pair[e]];
      T* row = memory_.waves.get() + e * parts * radial_;
      bessel(scale * memory_.edges.shown[e] + layers_[layers_.offset][sorted_.pair[e]], n_radial_, cutoff_, trainee.waves.get());
      for (int64_t n = 0; n < n_radial_; ++n) {
        row[n] = static_cast<T>(trainee.waves.get()[n].value);
        if constexpr (parts == 2) row[radial_ + n] = static_cast<T>(trainee.waves.get()[n].slope) * scale * memory_.tangents.shown[e];
      }
    }
    run<parts>(distance_, chunk, memory_.waves, memory_.features, false, trainee);
    run<parts>(initial_distance_[0], chunk, memory_.features, memory_.initial_distance, false, trainee);
    run<parts>(initial_distance_[1], chunk, memory_.initial_distance, memory_.initial, false, trainee);
    run<parts>(initial_message_[0], chunk, memory_.initial, memory_.initial_message, false, trainee);
    run<parts>(initial_message_[1], chunk, memory_.initial_message, memory_.messages, false, trainee);
  }

  template <int parts>
  void block(int64_t k, const Chunk& chunk, Trainee<T>& trainee) {
    auto& rows = memory_.blocks[k];
    const auto& stages = blocks_[k];
    over_senders(chunk, [&](int64_t j, int64_t first, int64_t n) {
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
      over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { block_back<parts>(k, chunk, trainee); });
      const T* messages = k == 0 ? memory_.messages.get() : memory_.blocks[k - 1].messages.get();
      over_atoms([&](int64_t i, const int32_t* into, int64_t n, Trainee<T>& trainee) {
        const T* of_moments = memory_.of_moments.get() + i * parts * shape_.n_low * channels();
        if constexpr (parts == 1) kernels_.moments_back(shape_, memory_.edges, into, n, factor_of_moments(), messages, of_moments, trainee.scratch.get(), memory_.of_edges);
        else training_.moments_back(shape_, memory_.edges, memory_.tangents, into, n, factor_of_moments(), of_moments, memory_.of_edges.messages);
      });
    }
    over_chunks([&](const Chunk& chunk, Trainee<T>& trainee) { first_messages_back<parts>(chunk, trainee); });
  }

  template <int parts>
  void head_back() {
    const int64_t n = n_atoms() + (parts == 2 ? n_elements_ : 0);
    auto& trainee = memory_.trainees[0];
    LayerGradients<T> gradients[2];
    if constexpr (parts == 2)
      for (int l = 0; l < 2; ++l) gradients[l] = Layers<T>::gradients(head_[l].which, trainee.learned);
    training_.layer_back[parts - 1](head_[1].layer, n, memory_.head.get(), elements_.data(), memory_.of_energies.get(), trainee.scratch.get(), memory_.of_head.get(), false, gradients[1]);
    training_.layer_back[parts - 1](head_[0].layer, n, memory_.sums.get(), elements_.data(), memory_.of_head.get(), trainee.scratch.get(), memory_.of_sums.get(), false, gradients[0]);
    const T* messages = memory_.blocks[n_blocks_ - 1].messages.get();
    over_atoms([&](int64_t i, const int32_t* into, int64_t n_into, Trainee<T>&) {
      const T* of_sums = memory_.of_sums.get() + i * parts * channels();
      if constexpr (parts == 1) kernels_.sums_back(shape_, memory_.edges, into, n_into, factor_of_sums(), messages, of_sums, memory_.of_edges);
      else training_.sums_back(shape_, memory_.edges, memory_.tangents, into, n_into, factor_of_sums(), of_sums, memory_.of_edges.messages);
    });
  }

  /// From what is passed back to the messages after block k to the moments of a chunk's senders, and to the features of the distance.
  template <int parts>
  void block_back(int64_t k, const Chunk& chunk, Trainee<T>& trainee) {
    auto& rows = memory_.blocks[k];
    const auto& stages = blocks_[k];
    const int64_t first_row = chunk.first_edge * parts * channels();
    T *of_messages = memory_.of_edges.messages + first_row, *a = trainee.passed[0].get(), *of_sum = trainee.passed[1].get(), *of_responses = trainee.passed[2].get();
    run_back<parts>(stages.to_message[1], chunk, rows.to_message, of_messages, a, false, trainee);
    run_back<parts>(stages.to_message[0], chunk, rows.sum, a, of_sum, false, trainee);
    if (k == 0) std::fill_n(of_messages, chunk.n_edges * parts * channels(), T(0));   // the first block passes no messages on
    run_back<parts>(stages.of_distance[1], chunk, rows.of_distance, of_sum, a, false, trainee);
    run_back<parts>(stages.of_distance[0], chunk, memory_.features, a, memory_.of_features.get() + first_row, true, trainee);
    run_back<parts>(stages.of_neighborhood[1], chunk, rows.of_neighborhood, of_sum, a, false, trainee);
    run_back<parts>(stages.of_neighborhood[0], chunk, rows.responses, a, of_responses, false, trainee);
    over_senders(chunk, [&](int64_t j, int64_t first, int64_t n) {
      const int64_t at = j * parts * channels();
      const T *moments = rows.moments.get() + at * shape_.n_low, *polynomial = rows.polynomials.get() + at * shape_.n_high;
      const T* of = of_responses + (first - chunk.first_edge) * parts * channels();
      T *of_moments = memory_.of_moments.get() + at * shape_.n_low, *of_polynomial = trainee.of_polynomial.get(), *scratch = trainee.scratch.get();
      if constexpr (parts == 1) {
        kernels_.spin_back(shape_, first, n, polynomial, of, scratch, memory_.of_edges);
        kernels_.spin_back_polynomial(shape_, memory_.edges, first, n, of, of_polynomial);
        kernels_.coupling_back(shape_, parameters_.couplings, stages.block, moments, of_polynomial, scratch, of_moments);
      } else {
        training_.spin_back(shape_, memory_.edges, memory_.tangents, first, n, of, of_polynomial, trainee.learned[stages.bias_index].get());
        training_.coupling_back(shape_, parameters_.couplings, stages.block, moments, of_polynomial, scratch, of_moments, trainee.learned[stages.kernels].get());
      }
    });
    for (int64_t j = chunk.first_sender; j < chunk.first_sender + chunk.n_senders; ++j)
      if (sorted_.first_sent[j] == sorted_.first_sent[j + 1]) std::fill_n(memory_.of_moments.get() + j * parts * shape_.n_low * channels(), parts * shape_.n_low * channels(), T(0));
  }

  template <int parts>
  void first_messages_back(const Chunk& chunk, Trainee<T>& trainee) {
    const int64_t first_row = chunk.first_edge * parts * channels();
    T *a = trainee.passed[0].get(), *b = trainee.passed[1].get(), *of_waves = trainee.passed[2].get();
    run_back<parts>(initial_message_[1], chunk, memory_.initial_message, memory_.of_edges.messages + first_row, a, false, trainee);
    run_back<parts>(initial_message_[0], chunk, memory_.initial, a, b, false, trainee);
    run_back<parts>(initial_distance_[1], chunk, memory_.initial_distance, b, a, false, trainee);
    run_back<parts>(initial_distance_[0], chunk, memory_.features, a, memory_.of_features.get() + first_row, true, trainee);
    run_back<parts>(distance_, chunk, memory_.waves, memory_.of_features.get() + first_row, of_waves, false, trainee);
    for (int64_t e = chunk.first_edge; e < chunk.first_edge + chunk.n_edges; ++e) distance_back<parts>(e, of_waves + (e - chunk.first_edge) * parts * radial_, trainee);
  }

  /// From the waves of an edge to the distance that it is shown, or to what scales and shifts that.
  template <int parts>
  void distance_back(int64_t e, const T* of_waves, Trainee<T>& trainee) {
    const int64_t pair = sorted_.pair[e];
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
  const int threads_;
  Team team_;
  Parameters<T> parameters_;   // of which the constants are used
  const Shape shape_;
  const NuclearWall wall_;
  Layers<T> layers_;
  const std::vector<double> references_;
  const double scale_, average_neighbors_, cutoff_;
  const int64_t n_blocks_, n_elements_, n_radial_, radial_;
  std::vector<int32_t> element_of_;
  Stage<T> distance_, initial_distance_[2], initial_message_[2], head_[2];
  std::vector<BlockStages<T>> blocks_;

  const TrainingGraph<T>* graph_ = nullptr;
  SortedEdges sorted_;
  std::vector<int32_t> elements_;   // of atoms, then of the atoms alone
  StepMemory<T> memory_;
};

template <class T>
const TrainingKernels<T>& of_type(const TrainingLevel& level) {
  if constexpr (sizeof(T) == sizeof(float)) return level.of_float;
  else return level.of_double;
}

template <class T>
const Kernels<T>& of_type(const Level& level) {
  if constexpr (sizeof(T) == sizeof(float)) return level.of_float;
  else return level.of_double;
}

}  // namespace

template <class T>
std::unique_ptr<TrainingStep<T>> make_training_step(const Container& container, const std::vector<std::string>& names, int threads, const std::string& wanted) {
  if (const auto level = training_level_here(wanted))
    return std::make_unique<TrainingStepOf<T>>(container, names, *level, of_type<T>(*level), of_type<T>(level->level), threads);
  return nullptr;
}

template std::unique_ptr<TrainingStep<float>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);
template std::unique_ptr<TrainingStep<double>> make_training_step(const Container&, const std::vector<std::string>&, int, const std::string&);

}  // namespace spinconv::native
