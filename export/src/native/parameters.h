// The weights and constants of a model file in the layout that the kernels read.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "buffer.h"
#include "kernels.h"

#include <deque>
#include <string>
#include <vector>

namespace spinconv::native {

/// An array of float64 of a file.
struct Numbers {
  std::vector<double> values;
  std::vector<int64_t> shape;

  /// Error unless it has this shape, in which -1 stands for any length: what reads it counts on that.
  Numbers(const Container& container, const std::string& name, const std::vector<int64_t>& expected);
  double at(int64_t row, int64_t column) const { return values[row * shape[1] + column]; }
};

/// An array of whole numbers of a file, of this shape; Error unless each is at least 0 and below `end`.
std::vector<int32_t> indices(const Container& container, const std::string& name, const std::vector<int64_t>& expected, int64_t end);

int64_t padded(int64_t n);

/// Whether a model is one for code of our own: harmonic, of `lmax` 4 at most.
bool is_for(const Container& container);

/// [atomic number]: the element's place in the model, -1 for one that it does not know.
std::vector<int32_t> places_of_elements(const Container& container);

template <class T>
class Parameters {
 public:
  explicit Parameters(const Container& container);

  Shape shape;
  Polynomials<T> polynomials;
  Couplings<T> couplings;
  std::vector<Block<T>> blocks;
  Embedding<T> head;
  Pairs<T> pairs;

 private:
  template <class Number>
  const Number* kept(const std::vector<Number>& values);
  const T* vector_of(const Container& container, const std::string& name, const std::vector<int64_t>& expected);
  Matrix<T> matrix(const Container& container, const std::string& name);
  Embedding<T> embedding(const Container& container, const std::string& name, int64_t n_kinds, int64_t n_out);
  const T* ring_kernels(const Container& container, const std::string& name);
  void make_polynomials(const Container& container);
  void make_couplings(const Container& container);

  std::deque<Buffer<char>> memory_;
};

extern template class Parameters<float>;
extern template class Parameters<double>;

}  // namespace spinconv::native
