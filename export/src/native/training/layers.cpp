// SPDX-License-Identifier: MIT
#include "layers.h"

#include "spinconv/model.h"

#include <algorithm>

namespace spinconv::native {

template <class T>
Layers<T>::Layers(const Container& container, const Shape& shape, const std::vector<std::string>& names) : shape_(shape), names_(names) {
  const auto n_elements = static_cast<int64_t>(container.metadata.info.elements.size()), n_pairs = n_elements * n_elements;
  n_radial = Numbers(container, "distance.linear.weight", {shape.used, -1}).shape[1];
  std::vector<int64_t> each(n_pairs);
  for (int64_t n = 0; n < n_pairs; ++n) each[n] = n;
  scale = add("distance.scale", each);
  offset = add("distance.offset", each);
  distance = linear("distance.linear", n_radial, shape.used);
  two_layers(initial_distance, "initial_distance", 0, shape.used);
  two_layers(initial_message, "initial_message", n_pairs, shape.used);
  for (int64_t k = 0; k < container.metadata.info.n_blocks; ++k) {
    const std::string name = "blocks." + std::to_string(k) + ".";
    BlockOf block;
    block.kernels = ring_kernels(name + "convolution.weight");
    block.bias = rows(name + "convolution.bias", 1, shape.used);
    two_layers(block.of_neighborhood, name + "of_neighborhood", n_pairs, shape.used);
    two_layers(block.of_distance, name + "of_distance", 0, shape.used);
    two_layers(block.to_message, name + "to_message", n_pairs, shape.used);
    blocks.push_back(block);
  }
  two_layers(energy, "energy", n_elements, 1);
  if (const auto n_used = std::count(learns_.begin(), learns_.end(), 1); n_used != static_cast<int64_t>(names.size()))
    throw Error("the weights of a harmonic model must be " + std::to_string(n_used) + " arrays, got " + std::to_string(names.size()));
}

template <class T>
int64_t Layers<T>::index_of(const std::string& name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) throw Error("the weights must have `" + name + "`");
  return found - names_.begin();
}

template <class T>
int64_t Layers<T>::add(const std::string& name, std::vector<int64_t> from, bool learns) {
  const auto size = static_cast<int64_t>(from.size());
  arrays_.emplace_back(index_of(name), size, std::move(from));
  learns_.push_back(learns);
  return static_cast<int64_t>(arrays_.size()) - 1;
}

/// A matrix in padded rows.
template <class T>
int64_t Layers<T>::rows(const std::string& name, int64_t n_rows, int64_t n_columns) {
  const int64_t width = padded(n_columns);
  std::vector<int64_t> from(n_rows * width, -1);
  for (int64_t row = 0; row < n_rows; ++row)
    for (int64_t column = 0; column < n_columns; ++column) from[row * width + column] = row * n_columns + column;
  return add(name, std::move(from));
}

template <class T>
LayerOf Layers<T>::linear(const std::string& name, int64_t n_in, int64_t n_out) {
  const int64_t in = padded(n_in), out = padded(n_out);
  std::vector<int64_t> by_input(n_in * out, -1), by_output(out * in, -1);
  for (int64_t o = 0; o < n_out; ++o)
    for (int64_t i = 0; i < n_in; ++i) by_input[i * out + o] = by_output[o * in + i] = o * n_in + i;
  LayerOf made;
  made.by_input = add(name + ".weight", std::move(by_input));
  made.by_output = add(name + ".weight", std::move(by_output), false);
  made.bias = rows(name + ".bias", 1, n_out);
  return made;
}

/// `n_kinds` 0: without factors.
template <class T>
void Layers<T>::two_layers(LayerOf (&layers)[2], const std::string& name, int64_t n_kinds, int64_t n_out) {
  layers[0] = linear(name + ".first", shape_.used, shape_.used);
  layers[1] = linear(name + ".last", shape_.used, n_out);
  if (n_kinds > 0) layers[1].factors = rows(name + ".factors", n_kinds, shape_.used);
}

/// [kernel][input in the group][own, partner][channels] of [group][kernel][input][own and partner of the group].
template <class T>
int64_t Layers<T>::ring_kernels(const std::string& name) {
  const int64_t group = shape_.group, n_groups = shape_.used / group;
  std::vector<int64_t> from(shape_.n_kernels * group * 2 * shape_.channels, -1);
  for (int64_t g = 0; g < n_groups; ++g)
    for (int64_t k = 0; k < shape_.n_kernels; ++k)
      for (int64_t in = 0; in < group; ++in)
        for (int64_t out = 0; out < 2 * group; ++out) {
          const int64_t row = (k * group + in) * 2 + out / group;
          from[row * shape_.channels + g * group + out % group] = ((g * shape_.n_kernels + k) * group + in) * 2 * group + out;
        }
  return add(name, std::move(from));
}

template <class T>
Layer<T> Layers<T>::layer(const LayerOf& which, int64_t n_in, int64_t n_out, bool is_activated) const {
  Layer<T> made;
  made.weight = {arrays_[which.by_input].get(), arrays_[which.by_output].get()};
  made.bias = arrays_[which.bias].get();
  made.factors = which.factors < 0 ? nullptr : arrays_[which.factors].get();
  made.is_activated = is_activated;
  made.n_in = n_in, made.in = padded(n_in), made.out = padded(n_out);
  return made;
}

template <class T>
LayerGradients<T> Layers<T>::gradients(const LayerOf& which, std::vector<Buffer<T>>& collected) {
  return {collected[which.by_input].get(), collected[which.bias].get(), which.factors < 0 ? nullptr : collected[which.factors].get()};
}

template class Layers<float>;
template class Layers<double>;

}  // namespace spinconv::native
