// What one instruction set offers: the stages of harmonic SpinConv as functions on plain arrays, forward and backward.
//
// Everything is padded: a row of channels has `channels` numbers, a multiple of 32, of which the model's own come first and the others are
// zero; so have rows of harmonics. Arrays of edges are in the order of the atoms that send them. T is float or double.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace spinconv::native {

constexpr int64_t row_multiple = 32;                     // numbers; all vectors and panels divide it
constexpr int64_t most_monomials = 4 + 10 + 35 + 165;    // of all levels, for lmax 4
constexpr int64_t most_levels = 4;
constexpr int most_lmax = 4;
constexpr int most_coupled = 2 * most_lmax + 1;          // harmonics that a product of two ring responses has

struct Shape {
  int64_t channels = 0;     // padded
  int64_t used = 0;         // of them, by the model
  int64_t group = 0;        // channels that are convolved with each other
  int64_t n_low = 0;        // harmonics of moments: (lmax + 1)^2
  int64_t n_high = 0;       // of the spin polynomial: (2 lmax + 1)^2
  int64_t high = 0;         // n_high, padded
  int64_t n_rows = 0;       // of ring responses: pairs of an order m and a harmonic of at least that degree
  int64_t n_products = 0;   // of two of them of one order
  int64_t n_kernels = 0;    // pairs of an order m and a degree
  int64_t n_spread = 0;     // vectors of the components of a degree, spread in their groups: group * (2 lmax + 1)
};

/// W of a linear layer: rows of inputs for the forward pass, rows of outputs for the way back.
template <class T>
struct Matrix {
  const T* by_input = nullptr;    // [in][out]
  const T* by_output = nullptr;   // [out][in]
};

/// W2 (silu(W1 x + b1) * g[kind]) + b2
template <class T>
struct Embedding {
  Matrix<T> first, last;
  const T* first_bias = nullptr;
  const T* last_bias = nullptr;
  const T* factors = nullptr;   // g, [n_kinds][channels]
};

/// own[a] partner[b] + own[b] partner[a], a <= b.
struct Product {
  int32_t a = 0, b = 0;   // rows of ring responses
  int32_t place = 0;      // of all products: by order, then by a, then by b
};

/// A dense block of K: each of some products in each of some harmonics of the polynomial.
template <class T>
struct CoupledProducts {
  const int32_t* harmonics = nullptr;
  int32_t n_harmonics = 0;
  int32_t n_products = 0;
  const Product* products = nullptr;
  const T* values = nullptr;   // [n_products][n_harmonics]
};

/// own[row] * value, a term of a harmonic.
template <class T>
struct LinearTerm {
  int32_t row = 0, harmonic = 0;
  T value = 0;
};

/// Kernels and rows of ring responses stand by degree l, within it by order m = 0 ... l; a kernel has a row for each component of its degree.
template <class T>
struct Couplings {
  int64_t n_degrees = 0;                // lmax + 1
  const int32_t* kernel = nullptr;      // [n_kernels], by l and m: its place in the model's weights
  const int32_t* first_row = nullptr;   // [n_kernels], by l and m
  const int32_t* rows_by_order = nullptr;   // [n_rows], by order m and component
  const LinearTerm<T>* linear = nullptr;
  int64_t n_linear = 0;
  const CoupledProducts<T>* blocks = nullptr;
  int64_t n_blocks = 0;
};

template <class T>
struct Block {
  const T* kernels = nullptr;   // of the ring responses: [kernel][input in the group][own, partner][channels]
  const T* bias = nullptr;      // of the spin convolution
  Embedding<T> of_neighborhood, to_message;
};

/// Harmonics as polynomials: each level of monomials are products of two of the level before, whose first is 1, x, y, z.
template <class T>
struct Polynomials {
  const int32_t* factors = nullptr;     // [all levels][2]
  const int32_t* level_sizes = nullptr; // [n_levels], after the first level
  int64_t n_levels = 0;
  const int32_t* first = nullptr;       // [n_high + 1], of the entries below
  const int32_t* monomial = nullptr;    // of the last level
  const T* coefficient = nullptr;
};

/// What belongs to a pair of elements, by pair.
template <class T>
struct Pairs {
  const T* inner = nullptr;        // Å: where the distance that the network is shown begins to stand still
  const T* per_cutoff = nullptr;   // 1/Å
};

/// A function of the distance that the network is shown for every pair of elements, with C numbers: quintic Hermite splines with knots from
/// 0 to the cutoff.
template <class T>
struct Table {
  const T* knots = nullptr;   // [pair][n_intervals + 1][value, slope * h, curvature * h^2][channels]
  int64_t n_intervals = 0;
  T per_length = 0;           // 1 / h, 1/Å
};

/// What is known of the edges before any message. Structures of arrays, [n_edges] each unless said.
template <class T>
struct Edges {
  const T* vectors = nullptr;      // Å, [3][stride]
  T* directions = nullptr;         // [3][stride]
  int64_t stride = 0;
  T* distances = nullptr;
  T* inverse_distances = nullptr;  // 0 where the distance is
  T* shown = nullptr;              // Å, the distance that the network is shown (equations.py, held)
  T* shown_slope = nullptr;        // its derivative by the distance
  T* envelope = nullptr;           // u(d)
  T* envelope_slope = nullptr;     // u'(d), 1/Å
  T* harmonics = nullptr;          // [n_edges][high]
  const int32_t* pair = nullptr;
};

/// Derivatives of one quantity with respect to what is known of the edges. The first that says something of an array sets it, all others add.
template <class T>
struct EdgeGradients {
  T* messages = nullptr;    // [n_edges][channels]
  T* harmonics = nullptr;   // [n_edges][high]
  T* envelope = nullptr;    // [n_edges]
  T* shown = nullptr;       // [n_edges]
};

/// What the way back needs of the messages of a block, [edges from `first` on][4][channels]; null where nothing is kept.
template <class T>
struct Kept {
  T* rows = nullptr;
  int64_t first = 0;
  bool past_caches = false;   // written to memory, as the caches will not hold it until it is read
};

template <class T>
struct Kernels {
  // geometry.h
  void (*geometry)(const Shape&, const Polynomials<T>&, const Pairs<T>&, const Edges<T>&, int64_t first, int64_t n);
  void (*geometry_back)(const Shape&, const Polynomials<T>&, const Edges<T>&, const EdgeGradients<T>&, int64_t first, int64_t n, double* gradients);
  // splines.h: rows of m0 from its table; on the way back the distance's derivative
  void (*initial)(const Shape&, const Table<T>&, const Edges<T>&, int64_t first, int64_t n, T* messages);
  void (*initial_back)(const Shape&, const Table<T>&, const Edges<T>&, int64_t first, int64_t n, const EdgeGradients<T>&);
  // moments.h, of one receiver
  void (*moments)(const Shape&, const Edges<T>&, const int32_t* into, int64_t n, T factor, const T* messages, T* moments);
  void (*moments_back)(const Shape&, const Edges<T>&, const int32_t* into, int64_t n, T factor, const T* messages, const T* of_moments,
                       T* scratch, const EdgeGradients<T>&, bool adds_to_messages);
  // coupling.h, of one sender
  void (*coupling)(const Shape&, const Couplings<T>&, const Block<T>&, const T* moments, T* scratch, T* polynomial);
  void (*coupling_back)(const Shape&, const Couplings<T>&, const Block<T>&, const T* moments, const T* of_polynomial, T* scratch, T* of_moments);
  // spin.h, of the edges of one sender
  void (*spin)(const Shape&, const Block<T>&, const Edges<T>&, int64_t first, int64_t n, const T* polynomial, T* responses, const Kept<T>&);
  void (*spin_back)(const Shape&, int64_t first, int64_t n, const T* polynomial, const T* of_responses, T* scratch,
                    const EdgeGradients<T>&, bool adds);
  void (*spin_back_polynomial)(const Shape&, const Edges<T>&, int64_t first, int64_t n, const T* of_responses, T* of_polynomial);
  // messages.h, of the edges of a chunk; `responses` begin with its first edge
  void (*messages)(const Shape&, const Block<T>&, const Table<T>&, const Edges<T>&, int64_t first, int64_t n, const T* responses, const T* before,
                   T* scratch, T* after, const Kept<T>&);
  void (*messages_back)(const Shape&, const Block<T>&, const Table<T>&, const Edges<T>&, int64_t first, int64_t n, const Kept<T>&, T* scratch,
                        const EdgeGradients<T>&, T* of_responses);
  // readout.h
  void (*sums)(const Shape&, const Edges<T>&, const int32_t* into, int64_t n, T factor, const T* messages, T* sums);
  void (*sums_back)(const Shape&, const Edges<T>&, const int32_t* target, int64_t first, int64_t n, T factor, const T* messages, const T* of_sums,
                    const EdgeGradients<T>&);
  void (*head)(const Shape&, const Embedding<T>&, const int32_t* element, int64_t n, const T* sums, T* scratch, T* energies, T* of_sums);
};

/// An instruction set that this library has code for.
struct Level {
  const char* name;
  const Kernels<float>& of_float;
  const Kernels<double>& of_double;
};

Level level_x86_64_v3();
Level level_x86_64_v4();
Level level_armv8_a();

}  // namespace spinconv::native
