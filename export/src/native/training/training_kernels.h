// What one instruction set offers to a training step, beside the kernels of an evaluation: stages whose weights are given anew at every step,
// of numbers with one derivative (number.h), and what the weights learn. Rows are [things][parts][channels], and what belongs to an atom
// [parts][components][channels]; all padded as in kernels.h.
// SPDX-License-Identifier: MIT
#pragma once

#include "../kernels.h"

namespace spinconv::native {

/// y = W a(x) + b, where a(x) is x, or silu(x) times a row of factors that belongs to the kind of the thing.
template <class T>
struct Layer {
  Matrix<T> weight;
  const T* bias = nullptr;
  const T* factors = nullptr;   // [n_kinds][in], null: ones
  bool is_activated = false;
  int64_t n_in = 0;             // used
  int64_t in = 0, out = 0;      // numbers of a row, padded
};

/// What the weights of a layer learn, in the same layout.
template <class T>
struct LayerGradients {
  T* weight = nullptr;    // [n_in][out]
  T* bias = nullptr;
  T* factors = nullptr;
};

/// Of each thing, which row of factors is its own.
using Kinds = const int32_t*;

/// What the edges' geometry changes by along the direction in which the positions move.
template <class T>
struct EdgeTangents {
  const T* vectors = nullptr;   // [3][stride]
  T* shown = nullptr;
  T* envelope = nullptr;
  T* harmonics = nullptr;       // [n_edges][high]
};

template <class T>
struct TrainingKernels {
  // layer.h; [0] of plain numbers, [1] of numbers with a derivative
  void (*layer[2])(const Layer<T>&, int64_t n, const T* in, Kinds, T* scratch, T* out, bool adds);
  void (*layer_back[2])(const Layer<T>&, int64_t n, const T* in, Kinds, const T* of_out, T* scratch, T* of_in, bool adds, const LayerGradients<T>&);
  // tangents.h
  void (*geometry)(const Shape&, const Polynomials<T>&, const Edges<T>&, const EdgeTangents<T>&, int64_t first, int64_t n);
  void (*moments)(const Shape&, const Edges<T>&, const EdgeTangents<T>&, const int32_t* into, int64_t n, T factor, const T* messages, T* moments);
  void (*moments_back)(const Shape&, const Edges<T>&, const EdgeTangents<T>&, const int32_t* into, int64_t n, T factor, const T* of_moments, T* of_messages);
  void (*sums)(const Shape&, const Edges<T>&, const EdgeTangents<T>&, const int32_t* into, int64_t n, T factor, const T* messages, T* sums);
  void (*sums_back)(const Shape&, const Edges<T>&, const EdgeTangents<T>&, const int32_t* into, int64_t n, T factor, const T* of_sums, T* of_messages);
  void (*spin[2])(const Shape&, const T* bias, const Edges<T>&, const EdgeTangents<T>&, int64_t first, int64_t n, const T* polynomial, T* responses);
  void (*spin_back)(const Shape&, const Edges<T>&, const EdgeTangents<T>&, int64_t first, int64_t n, const T* of_responses, T* of_polynomial, T* of_bias);
  // coupling_tangents.h
  void (*coupling)(const Shape&, const Couplings<T>&, const Block<T>&, const T* moments, T* scratch, T* polynomial);
  void (*coupling_back)(const Shape&, const Couplings<T>&, const Block<T>&, const T* moments, const T* of_polynomial, T* scratch, T* of_moments, T* of_kernels);
};

struct TrainingLevel {
  Level level;
  const TrainingKernels<float>& of_float;
  const TrainingKernels<double>& of_double;

  template <class T>
  const TrainingKernels<T>& kernels() const {
    if constexpr (sizeof(T) == sizeof(float)) return of_float;
    else return of_double;
  }
  template <class T>
  const Kernels<T>& evaluation() const {
    if constexpr (sizeof(T) == sizeof(float)) return level.of_float;
    else return level.of_double;
  }
};

TrainingLevel training_level_armv8_a();
TrainingLevel training_level_x86_64_v3();
TrainingLevel training_level_x86_64_v4();

}  // namespace spinconv::native
