// Arrays in the layout of the package safetensors: the length of a header, the header (JSON: names, types, shapes, places), the numbers.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spinconv {

/// An array of float64 or int64, borrowed from the bytes of a file.
class Tensor {
 public:
  enum class Dtype { float64, int64 };

  Tensor(std::string name, Dtype dtype, std::vector<int64_t> shape, std::string_view bytes)
      : name_(std::move(name)), dtype_(dtype), shape_(std::move(shape)), bytes_(bytes) {}

  const std::string& name() const { return name_; }
  Dtype dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t size() const { return static_cast<int64_t>(bytes_.size() / 8); }
  /// Its numbers row by row, eight bytes each, little endian, which may lie anywhere: copy them, as those two do.
  std::string_view bytes() const { return bytes_; }
  std::vector<double> doubles() const;     // Error unless float64
  std::vector<int64_t> integers() const;   // Error unless int64

 private:
  template <class Number>
  std::vector<Number> copied(Dtype wanted, const char* words) const;

  std::string name_;
  Dtype dtype_;
  std::vector<int64_t> shape_;
  std::string_view bytes_;
};

/// All arrays of a file in this layout, in the order of the header. Error, which begins with "cannot be read", unless every byte of the
/// numbers belongs to one array of float64 or int64, and all of them are finite.
std::vector<Tensor> read_safetensors(std::string_view bytes);

}  // namespace spinconv
