// Memory for arrays of numbers that vectors are loaded from: aligned, and only ever growing, so that a step like the last allocates nothing.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace spinconv::native {

/// Memory that could not be had.
struct NotEnough : std::bad_alloc {
  explicit NotEnough(size_t wanted) : bytes(wanted) {}
  size_t bytes;
};

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) { fit(n); }
  Buffer(Buffer&& other) noexcept : numbers_(std::exchange(other.numbers_, nullptr)), room_(std::exchange(other.room_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(numbers_, other.numbers_);
    std::swap(room_, other.room_);
    return *this;
  }
  ~Buffer() { std::free(numbers_); }

  /// Makes room for n numbers, whose values are then undefined, and for a vector beyond them. Throws NotEnough.
  T* fit(int64_t n) {
    if (n > room_) {
      std::free(std::exchange(numbers_, nullptr));
      room_ = 0;
      const int64_t wanted = n + n / 8;
      const size_t least = static_cast<size_t>(wanted) * sizeof(T) + vector_bytes, alignment = least < 4 * huge_page ? vector_bytes : huge_page;
      const size_t bytes = (least + alignment - 1) / alignment * alignment;
      numbers_ = static_cast<T*>(std::aligned_alloc(alignment, bytes));
      if (!numbers_) throw NotEnough(bytes);
#ifdef MADV_HUGEPAGE
      if (alignment == huge_page) madvise(numbers_, bytes, MADV_HUGEPAGE);
#endif
      room_ = wanted;
    }
    return numbers_;
  }
  T* zeros(int64_t n) {
    T* numbers = fit(n);
    for (int64_t k = 0; k < n; ++k) numbers[k] = T(0);
    return numbers;
  }
  T* get() { return numbers_; }
  const T* get() const { return numbers_; }

 private:
  static constexpr size_t vector_bytes = 64, huge_page = size_t(1) << 21;
  T* numbers_ = nullptr;
  int64_t room_ = 0;
};

}  // namespace spinconv::native
