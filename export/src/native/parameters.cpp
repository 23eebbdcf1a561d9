// SPDX-License-Identifier: MIT
#include "parameters.h"

#include "ring_couplings.h"

#include <cstring>

namespace spinconv::native {

namespace {

constexpr const char* kind = "harmonic";   // of models that this is for
constexpr int64_t most_harmonics = 25;     // of moments: lmax 4
void check_shape(const Tensor& tensor, const std::vector<int64_t>& expected) {
  const auto& shape = tensor.shape();
  bool fits = shape.size() == expected.size();
  for (size_t n = 0; fits && n < shape.size(); ++n) fits = expected[n] == shape[n] || (expected[n] < 0 && shape[n] > 0);
  if (fits) return;
  const auto in_words = [](const std::vector<int64_t>& lengths) {
    std::string words;
    for (const auto length : lengths) words += (words.empty() ? "" : " x ") + (length < 0 ? std::string("n") : std::to_string(length));
    return words;
  };
  throw Error("weights `" + tensor.name() + "` must be " + in_words(expected) + ", are " + in_words(shape));
}

int64_t whole_root(int64_t n) {
  int64_t root = 0;
  while (root * root < n) ++root;
  return root;
}

}  // namespace

Numbers::Numbers(const Container& container, const std::string& name, const std::vector<int64_t>& expected)
    : values(container.tensor(name).doubles()), shape(container.tensor(name).shape()) {
  check_shape(container.tensor(name), expected);
}

std::vector<int32_t> indices(const Container& container, const std::string& name, const std::vector<int64_t>& expected, int64_t end) {
  check_shape(container.tensor(name), expected);
  std::vector<int32_t> made;
  for (const auto index : container.tensor(name).integers()) {
    if (index < 0 || index >= end) throw Error("weights `" + name + "` must be from 0 to " + std::to_string(end - 1) + ", one is " + std::to_string(index));
    made.push_back(static_cast<int32_t>(index));
  }
  return made;
}

int64_t padded(int64_t n) { return (n + row_multiple - 1) / row_multiple * row_multiple; }

bool is_for(const Container& container) {
  const auto& info = container.metadata.info;
  return info.kind == kind && info.n_blocks >= 1 && Numbers(container, "constants.responses.0", {-1, -1}).shape[1] <= most_harmonics;
}

std::vector<int32_t> places_of_elements(const Container& container) {
  const auto& elements = container.metadata.info.elements;
  std::vector<int32_t> places(elements.back() + 1, -1);
  for (size_t n = 0; n < elements.size(); ++n) places[elements[n]] = static_cast<int32_t>(n);
  return places;
}

template <class T>
Parameters<T>::Parameters(const Container& container) {
  const Numbers weight(container, "blocks.0.convolution.weight", {-1, -1, -1, -1});   // [n_groups][kernels][group][2 group]
  shape.used = weight.shape[0] * weight.shape[2];
  shape.channels = padded(shape.used);
  shape.group = weight.shape[2];
  shape.n_low = Numbers(container, "constants.responses.0", {-1, -1}).shape[1];
  const int64_t degrees = whole_root(shape.n_low);   // lmax + 1
  if (degrees * degrees != shape.n_low) throw Error("weights `constants.responses.0` must have a square number of columns, have " + std::to_string(shape.n_low));
  for (int64_t m = 0; m < degrees; ++m) {
    const int64_t n = shape.n_low - m * m;
    shape.n_rows += n;
    shape.n_products += n * (n + 1) / 2;
  }
  shape.n_kernels = degrees * (degrees + 1) / 2;
  shape.n_spread = shape.group * (2 * degrees - 1);
  shape.n_high = (2 * degrees - 1) * (2 * degrees - 1);
  shape.high = padded(shape.n_high);
  make_polynomials(container);
  make_couplings(container);
  const auto n_elements = static_cast<int64_t>(container.metadata.info.elements.size());
  for (int64_t k = 0; k < container.metadata.info.n_blocks; ++k) {
    const std::string name = "blocks." + std::to_string(k) + ".";
    Block<T> block;
    block.kernels = ring_kernels(container, name + "convolution.weight");
    block.bias = vector_of(container, name + "convolution.bias", {shape.used});
    block.of_neighborhood = embedding(container, name + "of_neighborhood", n_elements * n_elements, shape.used);
    block.to_message = embedding(container, name + "to_message", n_elements * n_elements, shape.used);
    blocks.push_back(block);
  }
  head = embedding(container, "energy", n_elements, 1);
  const Numbers of_pairs(container, "constants.pairs", {n_elements * n_elements, 10});   // the last column: 1 / cutoff
  std::vector<T> per_cutoff;
  for (int64_t pair = 0; pair < of_pairs.shape[0]; ++pair) per_cutoff.push_back(static_cast<T>(of_pairs.at(pair, of_pairs.shape[1] - 1)));
  pairs = {vector_of(container, "distance.inner", {n_elements * n_elements, 1}), kept(per_cutoff)};
}

template <class T>
template <class Number>
const Number* Parameters<T>::kept(const std::vector<Number>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(Number));
  memory_.emplace_back(bytes);
  std::memcpy(memory_.back().get(), values.data(), bytes);
  return reinterpret_cast<const Number*>(memory_.back().get());
}

template <class T>
const T* Parameters<T>::vector_of(const Container& container, const std::string& name, const std::vector<int64_t>& expected) {
  const Numbers numbers(container, name, expected);
  std::vector<T> row(padded(static_cast<int64_t>(numbers.values.size())), T(0));
  for (size_t n = 0; n < numbers.values.size(); ++n) row[n] = static_cast<T>(numbers.values[n]);
  return kept(row);
}

/// Of a layer from padded rows to padded rows; the file has [out][in].
template <class T>
Matrix<T> Parameters<T>::matrix(const Container& container, const std::string& name) {
  const Numbers weight(container, name, {shape.used, shape.used});
  const int64_t n = shape.channels;
  std::vector<T> by_input(n * n, T(0)), by_output(n * n, T(0));
  for (int64_t out = 0; out < weight.shape[0]; ++out)
    for (int64_t in = 0; in < weight.shape[1]; ++in) by_input[in * n + out] = by_output[out * n + in] = static_cast<T>(weight.at(out, in));
  return {kept(by_input), kept(by_output)};
}

template <class T>
Embedding<T> Parameters<T>::embedding(const Container& container, const std::string& name, int64_t n_kinds, int64_t n_out) {
  Embedding<T> made;
  made.first = matrix(container, name + ".first.weight");
  made.first_bias = vector_of(container, name + ".first.bias", {shape.used});
  made.last_bias = vector_of(container, name + ".last.bias", {n_out});
  const Numbers factors(container, name + ".factors", {n_kinds, shape.used});
  std::vector<T> rows(factors.shape[0] * shape.channels, T(0));
  for (int64_t kind = 0; kind < factors.shape[0]; ++kind)
    for (int64_t c = 0; c < factors.shape[1]; ++c) rows[kind * shape.channels + c] = static_cast<T>(factors.at(kind, c));
  made.factors = kept(rows);
  if (n_out == 1) {
    made.last.by_input = vector_of(container, name + ".last.weight", {1, shape.used});
  } else {
    made.last = matrix(container, name + ".last.weight");
  }
  return made;
}

/// [kernel][input in the group][own, partner][channels]
template <class T>
const T* Parameters<T>::ring_kernels(const Container& container, const std::string& name) {
  const Numbers weight(container, name, {shape.used / shape.group, shape.n_kernels, shape.group, 2 * shape.group});
  const int64_t n_groups = weight.shape[0], n_kernels = weight.shape[1], group = weight.shape[2];
  std::vector<T> made(n_kernels * group * 2 * shape.channels, T(0));
  for (int64_t g = 0; g < n_groups; ++g)
    for (int64_t k = 0; k < n_kernels; ++k)
      for (int64_t in = 0; in < group; ++in)
        for (int64_t out = 0; out < 2 * group; ++out) {
          const int64_t row = (k * group + in) * 2 + out / group;
          made[row * shape.channels + g * group + out % group] = static_cast<T>(weight.values[((g * n_kernels + k) * group + in) * 2 * group + out]);
        }
  return kept(made);
}

template <class T>
void Parameters<T>::make_polynomials(const Container& container) {
  std::vector<int32_t> factors, sizes;
  int64_t from = 4, n_all = 4;   // monomials of the level before: 1, x, y, z at first
  for (int64_t level = 0; container.has("constants.monomials." + std::to_string(level)); ++level) {
    const auto which = indices(container, "constants.monomials." + std::to_string(level), {2, -1}, from);
    const auto n = static_cast<int64_t>(which.size()) / 2;
    sizes.push_back(static_cast<int32_t>(n));
    for (int64_t k = 0; k < n; ++k) factors.insert(factors.end(), {which[k], which[n + k]});
    from = n;
    n_all += n;
  }
  if (n_all > most_monomials || sizes.size() > most_levels) throw Error("weights `constants.monomials` must be " + std::to_string(most_monomials) + " at most, are " + std::to_string(n_all));
  const Numbers harmonics(container, "constants.harmonics", {from, shape.n_high});
  std::vector<int32_t> first{0}, monomial;
  std::vector<T> coefficient;
  for (int64_t h = 0; h < harmonics.shape[1]; ++h) {
    for (int64_t m = 0; m < harmonics.shape[0]; ++m) {
      if (harmonics.at(m, h) == 0.0) continue;
      monomial.push_back(static_cast<int32_t>(m));
      coefficient.push_back(static_cast<T>(harmonics.at(m, h)));
    }
    first.push_back(static_cast<int32_t>(monomial.size()));
  }
  polynomials = {kept(factors), kept(sizes), static_cast<int64_t>(sizes.size()), kept(first), kept(monomial), kept(coefficient)};
}

template <class T>
void Parameters<T>::make_couplings(const Container& container) {
  const RingCouplings made(container, shape);
  std::vector<LinearTerm<T>> linear;
  for (const auto& term : made.linear) linear.push_back({term.row, term.harmonic, static_cast<T>(term.value)});
  std::vector<CoupledProducts<T>> blocks;
  for (const auto& block : made.blocks)
    blocks.push_back({kept(block.harmonics), static_cast<int32_t>(block.harmonics.size()), static_cast<int32_t>(block.products.size()),
                      kept(block.products), kept(std::vector<T>(block.values.begin(), block.values.end()))});
  couplings.n_degrees = whole_root(shape.n_low);
  couplings.kernel = kept(made.kernel);
  couplings.first_row = kept(made.first_row);
  couplings.rows_by_order = kept(made.rows_by_order);
  couplings.linear = kept(linear);
  couplings.n_linear = static_cast<int64_t>(linear.size());
  couplings.blocks = kept(blocks);
  couplings.n_blocks = static_cast<int64_t>(blocks.size());
}

template class Parameters<float>;
template class Parameters<double>;

}  // namespace spinconv::native
