// SPDX-License-Identifier: MIT
#include "evaluator.h"

#include "../native/arrays.h"
#include "../native/exchanges.h"
#include "../native/ring_couplings.h"
#include "device_weights.h"
#include "harmonic_text.h"
#include "padded_edges.h"

#include "spinconv/distances.h"

#include <algorithm>
#include <cmath>

namespace spinconv::gpu {
namespace {

constexpr const char* kind = "harmonic";          // of models that this evaluates
constexpr int64_t most_harmonics = 25;            // of moments: lmax 4
constexpr int64_t atom_threads = 128;             // of kernels by atom and channel, or by number (ATOM_THREADS)
constexpr int64_t bytes_of_responses = int64_t(1) << 28;   // of atoms at a time
constexpr int n_axes = 3;                         // of the energy's first moments

int64_t groups(int64_t n, int64_t each) { return (n + each - 1) / each; }

bool is_for(const Container& container) {
  const auto& info = container.metadata.info;
  return info.kind == kind && info.n_blocks >= 1 && native::Numbers(container, "constants.responses.0", {-1, -1}).shape[1] <= most_harmonics;
}

/// Error where the harmonics of the file are not those of the kernels.
template <class T>
void check_harmonics(const native::Parameters<T>& parameters) {
  const auto& p = parameters.polynomials;
  const double n[3] = {2.0 / 7.0, -3.0 / 7.0, 6.0 / 7.0};
  std::vector<double> monomials{1.0, n[0], n[1], n[2]}, expected(parameters.shape.n_high);
  const int32_t* factors = p.factors;
  for (int64_t level = 0; level < p.n_levels; ++level) {
    std::vector<double> next;
    for (int32_t k = 0; k < p.level_sizes[level]; ++k, factors += 2) next.push_back(monomials[factors[0]] * monomials[factors[1]]);
    monomials = std::move(next);
  }
  harmonics_by_recursion(static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(parameters.shape.n_high)))) - 1, n, expected.data());
  for (int64_t h = 0; h < parameters.shape.n_high; ++h) {
    double y = 0.0;
    for (int32_t k = p.first[h]; k < p.first[h + 1]; ++k) y += static_cast<double>(p.coefficient[k]) * monomials[p.monomial[k]];
    if (!(std::abs(y - expected[h]) < (sizeof(T) == 4 ? 1e-4 : 1e-10)))
      throw Error("weights `constants.harmonics` must be the real harmonics of potential/spherical_harmonics.py, number " + std::to_string(h) + " is not; use `evaluator torch`");
  }
}

template <class T>
TextSettings settings_of(const Container& container, const native::DistanceTables<T>& tables, int64_t edges, bool has_double) {
  const auto n_elements = static_cast<int64_t>(container.metadata.info.elements.size());
  return {sizeof(T) == 8, has_double, edges, tables.initial().n_intervals, static_cast<double>(tables.initial().per_length), n_elements * n_elements};
}

/// One that fits a work group's memory.
int64_t tile_for(const native::Shape& shape, bool is_double, int64_t shared_memory, int64_t most_threads) {
  const auto edges = edges_of_tile(shape, is_double, shared_memory, most_threads);
  if (edges == 0)
    throw Error("a work group must have memory for 16 edges of " + std::to_string(shape.used) + " channels" + (is_double ? " in float64" : "") + ", this device has " +
                std::to_string(shared_memory) + " bytes and " + std::to_string(most_threads) + " threads; use float32 or a CPU");
  return edges;
}

template <class T>
class EvaluatorOf : public Evaluator {
 public:
  EvaluatorOf(const Container& container, std::shared_ptr<Device> device)
      : device_(std::move(device)), parameters_(container), tables_(container, parameters_.shape), references_(container.metadata.reference_energies),
        scale_(container.metadata.scale), average_neighbors_(container.metadata.average_neighbors), cutoff_(container.metadata.info.cutoff),
        n_blocks_(container.metadata.info.n_blocks), n_elements_(static_cast<int32_t>(references_.size())),
        edges_at_once_(tile_for(parameters_.shape, sizeof(T) == 8, device_->shared_memory(), device_->most_threads())), weights_(*device_, parameters_, n_elements_) {
    check_harmonics(parameters_);
    const auto& s = parameters_.shape;
    program_ = device_->compile(harmonic_text(s, native::RingCouplings(container, s), settings_of(container, tables_, edges_at_once_, device_->has_double())));
    threads_ = edges_at_once_ * s.channels / 16;
    atoms_at_once_ = std::max<int64_t>(1, std::min(bytes_of_responses, device_->largest_memory() / 4) / static_cast<int64_t>(2 * s.n_rows * s.channels * sizeof(T)));
    const auto& elements = container.metadata.info.elements;
    element_of_.assign(elements.back() + 1, -1);
    for (size_t n = 0; n < elements.size(); ++n) element_of_[elements[n]] = static_cast<int32_t>(n);
    write_wall(native::Numbers(container, "constants.pairs", {-1, 10}).values);
    find_alone();
  }

  std::string name() const override { return "native " + device_->name().substr(0, device_->name().find(':')); }
  std::string device() const override { return device_->name(); }
  bool has_stages() const override { return true; }
  int64_t n_moments() const override { return std::max(parameters_.shape.n_low * parameters_.shape.used, parameters_.shape.used + 1); }

  void evaluate(const Graph& graph, const Request& request, Result& result) override {
    task_ = {&graph, &request, &result, n_blocks_, !request.gradients ? 0 : request.centroid ? 1 + n_axes : 1};
    exchanges_.begin(parameters_.shape, task_);
    try {
      check_distances(graph, request.name);
      run();
    } catch (...) {
      exchanges_.finish();
      throw;
    }
    exchanges_.finish();
  }

 private:
  // ---- what does not change

  void write_wall(const std::vector<double>& constants) {
    if (device_->has_double()) wall_.write(*device_, constants);
    else narrow_wall_.write(*device_, std::vector<float>(constants.begin(), constants.end()));
  }

  const Memory* wall() const { return device_->has_double() ? wall_.get() : narrow_wall_.get(); }

  /// What the network says of an atom of each element without neighbours.
  void find_alone() {
    std::vector<int32_t> each(n_elements_);
    for (int32_t n = 0; n < n_elements_; ++n) each[n] = n;
    element_.write(*device_, each);
    sums_.clear(*device_, n_elements_ * channels());
    energies_.fit(*device_, n_elements_);
    launch_head(n_elements_, false);
    alone_.resize(n_elements_);
    energies_.read(*device_, alone_.data(), n_elements_);
  }

  // ---- the task

  const Graph& graph() const { return *task_.graph; }
  Result& result() const { return *task_.result; }
  int64_t channels() const { return parameters_.shape.channels; }
  int64_t n_nodes() const { return task_.n_nodes(); }
  int64_t row() const { return parameters_.shape.n_low * channels(); }   // numbers of an atom's moments
  bool is_shared() const { return task_.request->exchange != nullptr; }
  T factor_of_moments() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }
  /// Sums into atoms are so many times their first moments.
  T ratio() const { return static_cast<T>(1.0 / std::sqrt(average_neighbors_)); }

  void run() {
    result().energy = 0.0;
    result().atom_energies.assign(graph().n_atoms, 0.0);
    result().edge_gradients.assign(task_.n_adjoints > 0 ? 3 * graph().n_edges : 0, 0.0);
    result().centroid.assign(task_.n_adjoints > 1 ? 9 * graph().n_edges : 0, 0.0);
    if (graph().n_atoms == 0) return;
    bring_edges();
    reserve();
    forward();
    if (task_.n_adjoints > 0) backward();
  }

  void bring_edges() {
    edges_.sort(graph(), element_of_, n_elements_, edges_at_once_);
    for (size_t n = 0; n < edges_.pair.size(); ++n) weights_.require(*device_, tables_, edges_.pair[n]);
    vectors_here_.resize(3 * edges_.order.size());
    for (size_t n = 0; n < edges_.order.size(); ++n)
      for (int c = 0; c < 3; ++c)
        vectors_here_[3 * n + c] = edges_.order[n] >= 0 ? static_cast<T>(graph().vectors[3 * edges_.order[n] + c]) : static_cast<T>(c == 0 ? 2.0 * cutoff_ : 0.0);
    vectors_.write(*device_, vectors_here_);
    sender_.write(*device_, edges_.sender);
    target_.write(*device_, edges_.target);
    pair_.write(*device_, edges_.pair);
    element_.write(*device_, edges_.element);
    received_.write(*device_, edges_.received_edges);
    received_first_.write(*device_, edges_.received.first);
    received_batches_.write(*device_, edges_.received.batches);
    sent_first_.write(*device_, edges_.sent.first);
    sent_batches_.write(*device_, edges_.sent.batches);
  }

  void reserve() {
    const auto& s = parameters_.shape;
    moments_.resize(n_blocks_);
    for (auto& each : moments_) each.fit(*device_, n_nodes() * row());
    polynomials_.fit(*device_, graph().n_atoms * s.n_high * channels());
    responses_.fit(*device_, std::min(atoms_at_once_, graph().n_atoms) * 2 * s.n_rows * channels());
    sums_.fit(*device_, n_nodes() * channels());
    energies_.fit(*device_, graph().n_atoms);
    const auto bytes = n_nodes() * (device_->has_double() ? sizeof(double) : sizeof(float));
    walls_.fit(*device_, static_cast<int64_t>(bytes));
    if (task_.n_adjoints == 0) return;
    of_sums_.fit(*device_, n_nodes() * channels());
    for (int a = 0; a < task_.n_adjoints; ++a) of_moments_[a].fit(*device_, n_nodes() * row());
    gradients_.clear(*device_, 3 * static_cast<int64_t>(edges_.order.size()));
    if (task_.n_adjoints > 1) centroid_.clear(*device_, 9 * static_cast<int64_t>(edges_.order.size()));
  }

  // ---- kernels

  void launch(const char* name, int64_t n_groups, int64_t threads, const std::vector<Argument>& arguments) {
    if (n_groups > 0) device_->launch(program_->kernel(name), n_groups, threads, arguments);
  }

  void launch_by_number(const char* name, int64_t n, std::vector<Argument> arguments) {
    arguments.insert(arguments.begin(), Argument(n));
    launch(name, groups(n, atom_threads), atom_threads, arguments);
  }

  std::vector<Argument> edge_arguments() const { return {vectors_.get(), pair_.get(), weights_.of_pairs(), edges_.last}; }

  static std::vector<Argument> joined(std::vector<Argument> first, const std::vector<Argument>& then) {
    first.insert(first.end(), then.begin(), then.end());
    return first;
  }

  /// The moments of the initial messages (k = -1), or of what block k adds, to `to`, with `base` times `factor_of_base`.
  void receive(int64_t k, T factor, const Memory* base, T factor_of_base, int64_t n_rows, const Memory* to) {
    auto arguments = joined(edge_arguments(), {received_batches_.get(), received_first_.get(), received_.get(), k < 0 ? weights_.first_knots() : weights_.knots(k), factor, base,
                                               factor_of_base, static_cast<int32_t>(n_rows), to});
    if (k >= 0) arguments = joined(std::move(arguments), {sender_.get(), weights_.block(k), polynomials_.get()});
    launch(k < 0 ? "receive_first" : "receive", static_cast<int64_t>(edges_.received.batches.size()) - 1, threads_, arguments);
  }

  /// The way back through block k, or through the initial messages (k = -1), for the energy or one of its first moments.
  void send(int64_t k, int a) {
    const Memory* gradients = a == 0 ? gradients_.get() : centroid_.get();
    const int32_t width = a == 0 ? 3 : 9;
    auto arguments = joined(edge_arguments(), {target_.get(), sent_batches_.get(), sent_first_.get(), k < 0 ? weights_.first_knots() : weights_.knots(k), factor_of_moments(),
                                               of_moments_[a].get(), a == 0 ? static_cast<const Memory*>(nullptr) : of_moments_[0].get(), static_cast<int32_t>(std::max(a - 1, 0)), gradients, width});
    if (k >= 0) arguments = joined(std::move(arguments), {sender_.get(), weights_.block(k), polynomials_.get()});
    arguments.push_back(static_cast<int32_t>(a == 0 ? 0 : 3 * (a - 1)));
    launch(k < 0 ? "send_first" : "send", static_cast<int64_t>(edges_.sent.batches.size()) - 1, threads_, arguments);
  }

  /// `each(first_atom, n_atoms, groups)`, of as many atoms as there is room for responses.
  template <class Each>
  void over_atoms(Each&& each) {
    for (int64_t first = 0; first < graph().n_atoms; first += atoms_at_once_) {
      const int64_t n = std::min(atoms_at_once_, graph().n_atoms - first);
      each(static_cast<int32_t>(first), static_cast<int32_t>(n), groups(n * channels(), atom_threads));
    }
  }

  void polynomials(int64_t k) {
    over_atoms([&](int32_t first, int32_t n, int64_t n_groups) {
      launch("ring_responses", n_groups, atom_threads, {first, n, moments_[k].get(), weights_.block(k), responses_.get()});
      launch("couple", n_groups, atom_threads, {first, n, responses_.get(), polynomials_.get()});
    });
  }

  /// From the derivatives by the polynomials of block k to those by its moments, which are set or added to.
  void polynomials_back(int64_t k, bool adds, const Memory* to) {
    over_atoms([&](int32_t first, int32_t n, int64_t n_groups) {
      launch("ring_responses", n_groups, atom_threads, {first, n, moments_[k].get(), weights_.block(k), responses_.get()});
      launch("couple_back", n_groups, atom_threads, {first, n, polynomials_.get(), responses_.get()});
      launch("ring_responses_back", n_groups, atom_threads, {first, n, responses_.get(), weights_.block(k), static_cast<int32_t>(adds), to});
    });
  }

  void launch_head(int64_t n, bool with_gradients) {
    launch("head", groups(n, edges_at_once_), threads_,
           {static_cast<int32_t>(n), element_.get(), sums_.get(), weights_.head(), static_cast<T>(scale_), energies_.get(), with_gradients ? of_sums_.get() : nullptr});
  }

  // ---- forward

  void forward() {
    for (int64_t k = 0; k < n_blocks_; ++k) {
      const bool goes_on = k > 1;   // block 0 has no residual: the messages after it are what it adds
      receive(k - 1, factor_of_moments(), goes_on && !is_shared() ? moments_[k - 1].get() : nullptr, T(1), parameters_.shape.n_low, moments_[k].get());
      if (is_shared()) {
        through_host(moments_[k], n_nodes() * row(), [&](T* rows) { exchanges_.moments(rows); });
        if (goes_on) launch_by_number("add_numbers", graph().n_atoms * row(), {T(1), moments_[k - 1].get(), moments_[k].get()});
      }
      polynomials(k);
    }
    readout();
  }

  void readout() {
    const bool goes_on = n_blocks_ > 1;
    const T factor = static_cast<T>(1.0 / average_neighbors_);
    receive(n_blocks_ - 1, factor, goes_on && !is_shared() ? moments_[n_blocks_ - 1].get() : nullptr, ratio(), 1, sums_.get());
    repel(task_.n_adjoints == 1);
    read_walls();
    if (is_shared()) {
      through_host(sums_, n_nodes() * channels(), [&](T* rows) { exchanges_.sums(rows, walls_here_); });
      if (goes_on) launch_by_number("add_first_rows", graph().n_atoms * channels(), {ratio(), moments_[n_blocks_ - 1].get(), sums_.get()});
    }
    launch_head(graph().n_atoms, task_.n_adjoints > 0);
    here_.resize(graph().n_atoms);
    energies_.read(*device_, here_.data(), graph().n_atoms);
    for (int64_t i = 0; i < graph().n_atoms; ++i) {
      const auto element = edges_.element[i];
      result().atom_energies[i] = references_[element] + scale_ * double(here_[i] - alone_[element]) + walls_here_[i];
      result().energy += result().atom_energies[i];
    }
  }

  void repel(bool with_gradients) {
    launch("repel", groups(n_nodes(), atom_threads), atom_threads,
           joined(edge_arguments(), {static_cast<int32_t>(n_nodes()), received_first_.get(), received_.get(), wall(), walls_.get(), with_gradients ? gradients_.get() : nullptr}));
  }

  void read_walls() {
    walls_here_.resize(n_nodes());
    if (device_->has_double()) {
      device_->read(*walls_.get(), 0, walls_here_.data(), n_nodes() * static_cast<int64_t>(sizeof(double)));
      return;
    }
    std::vector<float> narrow(n_nodes());
    device_->read(*walls_.get(), 0, narrow.data(), n_nodes() * static_cast<int64_t>(sizeof(float)));
    std::copy(narrow.begin(), narrow.end(), walls_here_.begin());
  }

  /// Lets processes exchange the rows of an array.
  template <class Change>
  void through_host(DeviceArray<T>& array, int64_t n, Change&& change) {
    here_.resize(n);
    array.read(*device_, here_.data(), n);
    change(here_.data());
    array.write(*device_, here_.data(), n);
  }

  // ---- backward

  void backward() {
    if (is_shared()) through_host(of_sums_, n_nodes() * channels(), [&](T* rows) { exchanges_.of_sums(rows); });
    for (int a = 0; a < task_.n_adjoints; ++a)
      launch_by_number("begin_gradients", n_nodes() * row(), {ratio(), a == 0 ? of_sums_.get() : nullptr, of_moments_[a].get()});
    for (int64_t k = n_blocks_ - 1; k >= 0; --k) block_back(k);
    for (int a = task_.n_adjoints - 1; a >= 0; --a) send(-1, a);
    write_result();
  }

  /// The energy's derivatives change last, because those of its moments need them as they were.
  void block_back(int64_t k) {
    for (int a = task_.n_adjoints - 1; a >= 0; --a) {
      if (k + 1 < n_blocks_ || a + 1 < task_.n_adjoints) polynomials(k);
      send(k, a);
      if (!is_shared()) {
        polynomials_back(k, k > 0, of_moments_[a].get());
        continue;
      }
      share_.fit(*device_, n_nodes() * row());
      polynomials_back(k, false, share_.get());
      through_host(share_, n_nodes() * row(), [&](T* rows) { exchanges_.of_moments(rows); });
      if (k == 0) launch_by_number("begin_gradients", n_nodes() * row(), {T(0), static_cast<const Memory*>(nullptr), of_moments_[a].get()});
      launch_by_number("add_numbers", n_nodes() * row(), {T(1), share_.get(), of_moments_[a].get()});
    }
  }

  void write_result() {
    const auto n = static_cast<int64_t>(edges_.order.size());
    here_.resize((task_.n_adjoints > 1 ? 9 : 3) * n);
    if (task_.n_adjoints > 1) {
      write_edge_gradients();   // without walls, whose energies have no first moment about the receiver
      centroid_.read(*device_, here_.data(), 9 * n);
      write_centroid();
      repel(true);
    }
    write_edge_gradients();
  }

  void write_edge_gradients() {
    gradients_.read(*device_, here_.data(), 3 * static_cast<int64_t>(edges_.order.size()));
    for (size_t place = 0; place < edges_.order.size(); ++place)
      if (const auto e = edges_.order[place]; e >= 0)
        for (int c = 0; c < 3; ++c) result().edge_gradients[3 * e + c] = double(here_[3 * place + c]);
  }

  /// From about the sender to about the receiver.
  void write_centroid() {
    for (size_t place = 0; place < edges_.order.size(); ++place)
      if (const auto e = edges_.order[place]; e >= 0)
        for (int a = 0; a < n_axes; ++a)
          for (int c = 0; c < 3; ++c)
            result().centroid[9 * e + 3 * a + c] = double(here_[9 * place + 3 * a + c]) + graph().vectors[3 * e + a] * result().edge_gradients[3 * e + c];
  }

  std::shared_ptr<Device> device_;
  native::Parameters<T> parameters_;
  native::DistanceTables<T> tables_;
  std::vector<double> references_;
  double scale_, average_neighbors_, cutoff_;
  int64_t n_blocks_;
  int32_t n_elements_;
  int64_t edges_at_once_, threads_ = 0, atoms_at_once_ = 0;
  DeviceWeights<T> weights_;
  std::unique_ptr<Program> program_;
  std::vector<int32_t> element_of_;
  std::vector<T> alone_;
  DeviceArray<double> wall_;
  DeviceArray<float> narrow_wall_;

  native::Task task_;
  native::Exchanges<T> exchanges_;
  PaddedEdges edges_;
  std::vector<T> vectors_here_, here_;
  std::vector<double> walls_here_;
  DeviceArray<T> vectors_, polynomials_, responses_, sums_, of_sums_, energies_, gradients_, centroid_, share_, of_moments_[1 + n_axes];
  std::vector<DeviceArray<T>> moments_;   // of every block
  DeviceArray<int32_t> sender_, target_, pair_, element_, received_, received_first_, received_batches_, sent_first_, sent_batches_;
  DeviceArray<char> walls_;
};

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, std::shared_ptr<Device> device) {
  if (!is_for(container)) return nullptr;
  if (dtype == "float32") return std::make_unique<EvaluatorOf<float>>(container, std::move(device));
  if (!device->has_double()) throw Error("`dtype` must be float32 on " + device->description() + ", which has no float64");
  return std::make_unique<EvaluatorOf<double>>(container, std::move(device));
}

std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, const std::string& device, int process) {
  return is_for(container) ? make_evaluator(container, dtype, open_device(device, process)) : nullptr;
}

namespace {

template <class T>
std::string text_in(const Container& container, int64_t shared_memory) {
  const native::Parameters<T> parameters(container);
  const native::DistanceTables<T> tables(container, parameters.shape);
  const auto edges = tile_for(parameters.shape, sizeof(T) == 8, shared_memory, 1024);
  return harmonic_text(parameters.shape, native::RingCouplings(container, parameters.shape), settings_of(container, tables, edges, true));
}

}  // namespace

std::string text_of(const Container& container, const std::string& dtype, int64_t shared_memory) {
  if (!is_for(container)) throw Error("kernels are for harmonic models of `lmax` 4 at most");
  return dtype == "float32" ? text_in<float>(container, shared_memory) : text_in<double>(container, shared_memory);
}

}  // namespace spinconv::gpu
