// Moments of the messages into an atom, and sums of them.
//
//   A_i[lm, c] = factor sum over edges e into i of u_e m_e[c] Y_e[lm]
//
// and back: with v_e[c] = factor sum_lm Y_e[lm] dE/dA_i[lm, c],   dE/dm_e += u_e v_e,   dE/du_e += v_e . m_e,
//           dE/dY_e[lm] += u_e factor sum_c m_e[c] dE/dA_i[lm, c].
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels.h"
#include "simd.h"

namespace spinconv::native {
namespace {

constexpr int64_t edges_ahead = 4;   // asked for before their turn: the edges into an atom lie far from each other

template <class T>
void moments(const Shape& shape, const Edges<T>& edges, const int32_t* into, int64_t n, T factor, const T* messages, T* moments) {
  const int64_t channels = shape.channels;
  for (int64_t c = 0; c < channels; c += panel<T>) {
    in_tiles(shape.n_low, [&](auto tile, int64_t lm) {
      constexpr int rows = decltype(tile)::value;
      V<T> sums[rows][side_by_side] = {};
      for (int64_t k = 0; k < n; ++k) {
        const int64_t e = into[k];
        const T* y = edges.harmonics + e * shape.high + lm;
        if (lm == 0 && k + edges_ahead < n) {
          prefetch(messages + into[k + edges_ahead] * channels + c, panel<T>);
          if (c == 0) prefetch(edges.harmonics + into[k + edges_ahead] * shape.high, shape.n_low);
        }
        V<T> um[side_by_side];
        for (int v = 0; v < side_by_side; ++v) um[v] = edges.envelope[e] * load(messages + e * channels + c + v * lanes<T>);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r)
          for (int v = 0; v < side_by_side; ++v) sums[r][v] += y[r] * um[v];
      }
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < side_by_side; ++v) store(moments + (lm + r) * channels + c + v * lanes<T>, factor * sums[r][v]);
    });
  }
}

/// `scratch`: channels * low numbers, where low is n_low, padded. dE/dm_e is set where it is not added to.
template <class T>
void moments_back(const Shape& shape, const Edges<T>& edges, const int32_t* into, int64_t n, T factor, const T* messages, const T* of_moments,
                  T* scratch, const EdgeGradients<T>& of, bool adds_to_messages) {
  const int64_t channels = shape.channels, low = (shape.n_low + row_multiple - 1) / row_multiple * row_multiple;
  transpose(of_moments, shape.n_low, channels, scratch, low);
  in_tiles(n, [&](auto tile, int64_t k) {
    constexpr int rows = decltype(tile)::value;
    int64_t e[rows];
    T of_envelope[rows] = {};
    for (int r = 0; r < rows; ++r) e[r] = into[k + r];
    for (int64_t next = k + rows; next < k + 2 * rows && next < n; ++next) {
      prefetch(messages + into[next] * channels, channels);
      prefetch(of.messages + into[next] * channels, channels);
      prefetch(edges.harmonics + into[next] * shape.high, shape.n_low);
      prefetch(of.harmonics + into[next] * shape.high, shape.n_low);
    }
    for (int64_t c = 0; c < channels; c += panel<T>) {
      V<T> v[rows][side_by_side] = {};
      add_product<T, rows, side_by_side>(v, [&](int r, int64_t lm) { return edges.harmonics[e[r] * shape.high + lm]; }, of_moments + c, channels, shape.n_low);
      for (int r = 0; r < rows; ++r) {
        V<T> dot = all<T>(0);
        for (int p = 0; p < side_by_side; ++p) {
          const int64_t place = e[r] * channels + c + p * lanes<T>;
          const V<T> scaled = factor * v[r][p];
          dot += scaled * load(messages + place);
          const V<T> of_message = edges.envelope[e[r]] * scaled;
          store(of.messages + place, adds_to_messages ? load(of.messages + place) + of_message : of_message);
        }
        of_envelope[r] += sum_of<T>(dot);
      }
    }
    for (int r = 0; r < rows; ++r) of.envelope[e[r]] += of_envelope[r];
    for (int64_t lm = 0; lm < shape.n_low; lm += lanes<T>) {
      V<T> of_y[rows][1] = {};
      add_product<T, rows, 1>(of_y, [&](int r, int64_t c) { return messages[e[r] * channels + c]; }, scratch + lm, low, channels);
      for (int r = 0; r < rows; ++r) {
        T* to = of.harmonics + e[r] * shape.high + lm;
        store(to, load(to) + (factor * edges.envelope[e[r]]) * of_y[r][0]);
      }
    }
  });
}

/// S_i[c] = factor sum over edges into i of u_e m_e[c]
template <class T>
void sums(const Shape& shape, const Edges<T>& edges, const int32_t* into, int64_t n, T factor, const T* messages, T* sums) {
  for (int64_t c = 0; c < shape.channels; c += lanes<T>) {
    V<T> sum = all<T>(0);
    for (int64_t k = 0; k < n; ++k) {
      if (c == 0 && k + edges_ahead < n) prefetch(messages + into[k + edges_ahead] * shape.channels, shape.channels);
      sum += edges.envelope[into[k]] * load(messages + into[k] * shape.channels + c);
    }
    store(sums + c, factor * sum);
  }
}

/// Of n edges from the first on: sets dE/dm_e = factor u_e dE/dS_i and dE/du_e = factor m_e . dE/dS_i.
template <class T>
void sums_back(const Shape& shape, const Edges<T>& edges, const int32_t* target, int64_t first, int64_t n, T factor, const T* messages, const T* of_sums,
               const EdgeGradients<T>& of) {
  for (int64_t e = first; e < first + n; ++e) {
    const T* of_sum = of_sums + target[e] * shape.channels;
    V<T> dot = all<T>(0);
    for (int64_t c = 0; c < shape.channels; c += lanes<T>) {
      const V<T> scaled = factor * load(of_sum + c);
      dot += scaled * load(messages + e * shape.channels + c);
      store(of.messages + e * shape.channels + c, edges.envelope[e] * scaled);
    }
    of.envelope[e] = sum_of<T>(dot);
  }
}

}  // namespace
}  // namespace spinconv::native
