// The learned numbers of a model as the kernels want them, packed from torch's arrays at every step, and what they learn, in the same layout and
// unpacked again.
// SPDX-License-Identifier: MIT
#pragma once

#include "../buffer.h"
#include "../parameters.h"
#include "training_kernels.h"

#include <string>
#include <vector>

namespace spinconv::native {

/// A packed array, and which numbers of torch's arrays it has.
template <class T>
class Packed {
 public:
  /// Place n of the `size` packed ones has number `from[n]` of the array `name`; -1: none.
  Packed(int64_t name, int64_t size, std::vector<int64_t> from) : name_(name), size_(size), from_(std::move(from)) { numbers_.zeros(size); }

  void pack(const T* const* weights) {
    for (int64_t n = 0; n < size_; ++n)
      if (from_[n] >= 0) numbers_.get()[n] = weights[name_][from_[n]];
  }
  /// Adds packed gradients to those of torch's array.
  void unpack(const T* packed, T* const* of_weights) const {
    for (int64_t n = 0; n < size_; ++n)
      if (from_[n] >= 0) of_weights[name_][from_[n]] += packed[n];
  }
  const T* get() const { return numbers_.get(); }
  int64_t size() const { return size_; }

 private:
  int64_t name_, size_;
  std::vector<int64_t> from_;
  Buffer<T> numbers_;
};

/// The packed arrays of a layer, by their numbers.
struct LayerOf {
  int64_t by_input = -1, by_output = -1, bias = -1, factors = -1;
};

struct BlockOf {
  int64_t kernels, bias;
  LayerOf of_neighborhood[2], of_distance[2], to_message[2];
};

/// All layers of a model. An index of a packed array stands for it in `layer` and in the arrays that threads collect gradients in.
template <class T>
class Layers {
 public:
  Layers(const Container& container, const Shape& shape, const std::vector<std::string>& names);

  void pack(const T* const* weights) {
    for (auto& packed : arrays_) packed.pack(weights);
  }
  void unpack(const std::vector<Buffer<T>>& collected, T* const* of_weights) const {
    for (size_t n = 0; n < arrays_.size(); ++n)
      if (learns_[n]) arrays_[n].unpack(collected[n].get(), of_weights);
  }
  /// Zeros for all arrays that learn.
  void clear(std::vector<Buffer<T>>& collected) const {
    collected.resize(arrays_.size());
    for (size_t n = 0; n < arrays_.size(); ++n)
      if (learns_[n]) collected[n].zeros(arrays_[n].size());
  }
  const T* operator[](int64_t n) const { return arrays_[n].get(); }

  Layer<T> layer(const LayerOf& which, int64_t n_in, int64_t n_out, bool is_activated) const;
  static LayerGradients<T> gradients(const LayerOf& which, std::vector<Buffer<T>>& collected);

  int64_t n_radial = 0;
  int64_t scale, offset;   // of the distance, by pair
  LayerOf distance, initial_distance[2], initial_message[2], energy[2];
  std::vector<BlockOf> blocks;

 private:
  int64_t index_of(const std::string& name) const;
  int64_t add(const std::string& name, std::vector<int64_t> from, bool learns = true);
  int64_t rows(const std::string& name, int64_t n_rows, int64_t n_columns);
  LayerOf linear(const std::string& name, int64_t n_in, int64_t n_out);
  void two_layers(LayerOf (&layers)[2], const std::string& name, int64_t n_kinds, int64_t n_out);
  int64_t ring_kernels(const std::string& name);

  const Shape shape_;
  const std::vector<std::string> names_;
  std::vector<Packed<T>> arrays_;
  std::vector<char> learns_;
};

extern template class Layers<float>;
extern template class Layers<double>;

}  // namespace spinconv::native
