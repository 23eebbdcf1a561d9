// SPDX-License-Identifier: MIT
#include "distance_tables.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace spinconv::native {
namespace {

using Jets = std::vector<Jet>;

constexpr double pi = 3.141592653589793;

/// Knots from 0 to the cutoff: below that many, the splines err more than T does.
template <class T>
constexpr int64_t intervals = sizeof(T) == 4 ? 256 : 4096;

struct Layer {
  Numbers weight, bias;   // [out][in], [out]

  Layer(const Container& container, const std::string& name, int64_t n_out, int64_t n_in)
      : weight(container, name + ".weight", {n_out, n_in}), bias(container, name + ".bias", {n_out}) {}

  Jets operator()(const Jets& x) const {
    Jets y(weight.shape[0]);
    for (size_t out = 0; out < y.size(); ++out) {
      y[out].value = bias.values[out];
      for (size_t in = 0; in < x.size(); ++in) y[out] = y[out] + weight.values[out * x.size() + in] * x[in];
    }
    return y;
  }
};

struct TwoLayers {
  Layer first, last;

  TwoLayers(const Container& container, const std::string& name, int64_t n) : first(container, name + ".first", n, n), last(container, name + ".last", n, n) {}

  /// `factors` of the hidden values may be null.
  Jets operator()(const Jets& x, const double* factors = nullptr) const {
    Jets hidden = first(x);
    for (size_t c = 0; c < hidden.size(); ++c) hidden[c] = (factors ? factors[c] : 1.0) * silu(hidden[c]);
    return last(hidden);
  }
};

}  // namespace

template <class T>
struct DistanceTables<T>::Networks {
  double cutoff;
  Numbers scale, offset;
  Layer linear;
  TwoLayers initial_distance, initial_message;
  Numbers factors;   // of the initial message, [pair][channels]
  std::vector<TwoLayers> of_distance;

  Networks(const Container& container, int64_t n)   // channels
      : cutoff(container.metadata.info.cutoff), scale(container, "distance.scale", {n_pairs(container), 1}),
        offset(container, "distance.offset", {n_pairs(container), 1}), linear(container, "distance.linear", n, -1),
        initial_distance(container, "initial_distance", n), initial_message(container, "initial_message", n),
        factors(container, "initial_message.factors", {n_pairs(container), n}) {
    for (int64_t k = 0; k < container.metadata.info.n_blocks; ++k) of_distance.emplace_back(container, "blocks." + std::to_string(k) + ".of_distance", n);
  }
  static int64_t n_pairs(const Container& container) {
    const auto n = static_cast<int64_t>(container.metadata.info.elements.size());
    return n * n;
  }

  /// The initial message, then what every block makes of the distance.
  std::vector<Jets> operator()(int64_t pair, double shown) const {
    const Jet x = scale.values[pair] * Jet{shown, 1.0, 0.0} + Jet{offset.values[pair]};
    Jets waves(linear.weight.shape[1]);
    for (size_t n = 0; n < waves.size(); ++n) {
      const double wave = (n + 1) * pi / cutoff;
      waves[n] = 2.0 * std::sqrt(2.0 / cutoff) * wave * sinc(wave * x);
    }
    const Jets t = linear(waves);
    Jets hidden = t;
    for (auto& jet : hidden) jet = silu(jet);
    std::vector<Jets> made{initial_message(initial_distance(hidden), factors.values.data() + pair * factors.shape[1])};
    for (const auto& network : of_distance) made.push_back(network(t));
    return made;
  }
};

template <class T>
DistanceTables<T>::DistanceTables(const Container& container, const Shape& shape)
    : networks_(std::make_shared<Networks>(container, shape.used)), channels_(shape.channels), n_intervals_(intervals<T>), spacing_(networks_->cutoff / n_intervals_) {
  const auto n_pairs = static_cast<int64_t>(networks_->scale.values.size()), per_pair = 3 * (n_intervals_ + 1) * channels_;
  made_.assign(n_pairs, 0);
  for (size_t n = 0; n <= networks_->of_distance.size(); ++n) {
    knots_.emplace_back(n_pairs * per_pair);
    tables_.push_back({knots_.back().get(), n_intervals_, static_cast<T>(1.0 / spacing_)});
  }
}

template <class T>
void DistanceTables<T>::require(int32_t pair) {
  if (made_[pair]) return;
  for (int64_t knot = 0; knot <= n_intervals_; ++knot) {
    const auto functions = (*networks_)(pair, knot * spacing_);
    for (size_t n = 0; n < functions.size(); ++n) {
      T* to = knots_[n].get() + (pair * (n_intervals_ + 1) + knot) * 3 * channels_;
      std::fill_n(to, 3 * channels_, T(0));
      for (size_t c = 0; c < functions[n].size(); ++c) {
        to[c] = static_cast<T>(functions[n][c].value);
        to[channels_ + c] = static_cast<T>(functions[n][c].slope * spacing_);
        to[2 * channels_ + c] = static_cast<T>(functions[n][c].curvature * spacing_ * spacing_);
      }
    }
  }
  made_[pair] = 1;
}

template class DistanceTables<float>;
template class DistanceTables<double>;

}  // namespace spinconv::native
