// SPDX-License-Identifier: MIT
#include "safetensors.h"

#include "json.h"

#include "spinconv/model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "model files are little endian"
#endif

namespace spinconv {
namespace {

constexpr size_t length_size = 8;   // of the header's length, an unsigned integer
constexpr size_t number_size = 8;
constexpr size_t most_axes = 16;

[[noreturn]] void fail(const std::string& why) { throw Error("cannot be read: " + why); }

Tensor::Dtype dtype_of(const std::string& name, const std::string& dtype) {
  if (dtype == "F64") return Tensor::Dtype::float64;
  if (dtype == "I64") return Tensor::Dtype::int64;
  fail("`" + name + "` must be of F64 or I64, is of " + dtype);
}

/// Whether an array of this shape takes so many bytes.
bool fits(const std::vector<int64_t>& shape, size_t n_bytes) {
  if (std::any_of(shape.begin(), shape.end(), [](int64_t length) { return length < 0; })) return false;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return n_bytes == 0;
  size_t n = 1;
  for (const auto length : shape) {
    if (n > n_bytes / number_size / static_cast<size_t>(length)) return false;   // before the product can overflow
    n *= static_cast<size_t>(length);
  }
  return n * number_size == n_bytes;
}

Tensor read_tensor(const std::string& name, const Json& said, std::string_view numbers) {
  const auto member = [&](const char* key) -> const Json& {
    const Json* found = said.find(key);
    if (found == nullptr) fail("`" + name + "` has no `" + key + "`");
    return *found;
  };
  const auto dtype = dtype_of(name, member("dtype").text());
  std::vector<int64_t> shape;
  for (const auto& length : member("shape").list()) shape.push_back(length.integer());
  if (shape.size() > most_axes) fail("`" + name + "` has " + std::to_string(shape.size()) + " axes");
  const auto& offsets = member("data_offsets").list();
  if (offsets.size() != 2) fail("`" + name + "` must have two offsets");
  const auto begin = offsets[0].integer(), end = offsets[1].integer();
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > numbers.size()) fail("`" + name + "` lies outside of it");
  const auto bytes = numbers.substr(begin, end - begin);
  if (!fits(shape, bytes.size())) fail("`" + name + "` has a shape that does not fit its bytes");
  return Tensor(name, dtype, std::move(shape), bytes);
}

void check_finite(const Tensor& tensor) {
  if (tensor.dtype() != Tensor::Dtype::float64) return;
  const auto values = tensor.doubles();
  if (!std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); })) fail("`" + tensor.name() + "` must be finite numbers");
}

/// Every byte belongs to one array.
void check_places(const std::vector<Tensor>& tensors, std::string_view numbers) {
  std::vector<std::pair<size_t, size_t>> places;
  for (const auto& tensor : tensors) places.emplace_back(tensor.bytes().data() - numbers.data(), tensor.bytes().size());
  std::sort(places.begin(), places.end());
  size_t end = 0;
  for (const auto& [begin, size] : places) {
    if (begin != end) fail("its arrays have gaps or overlap");
    end = begin + size;
  }
  if (end != numbers.size()) fail("it has numbers that belong to no array");
}

}  // namespace

std::vector<Tensor> read_safetensors(std::string_view bytes) {
  if (bytes.size() < length_size) fail("it is cut short");
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), length_size);
  if (header_size > bytes.size() - length_size) fail("its header is longer than it");
  const auto header = parse_json(bytes.substr(length_size, header_size));
  const auto numbers = bytes.substr(length_size + header_size);
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < header.names().size(); ++i) {
    if (header.names()[i] != "__metadata__") tensors.push_back(read_tensor(header.names()[i], header.values()[i], numbers));
  }
  check_places(tensors, numbers);
  for (const auto& tensor : tensors) check_finite(tensor);
  return tensors;
}

template <class Number>
std::vector<Number> Tensor::copied(Dtype wanted, const char* words) const {
  static_assert(sizeof(Number) == number_size);
  if (dtype_ != wanted) throw Error("weights `" + name_ + "` must be " + words);
  std::vector<Number> values(bytes_.size() / number_size);
  if (!values.empty()) std::memcpy(values.data(), bytes_.data(), bytes_.size());
  return values;
}

std::vector<double> Tensor::doubles() const { return copied<double>(Dtype::float64, "float64"); }
std::vector<int64_t> Tensor::integers() const { return copied<int64_t>(Dtype::int64, "int64"); }

}  // namespace spinconv
