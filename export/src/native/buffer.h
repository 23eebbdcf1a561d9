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

/// Memory for vectors. What is large is the system's own pages, huge ones if it has them, and goes back to it: from the heap, of which a program may
/// keep what is freed, pieces that begin at huge pages would leave holes that no other fills.
class Pages {
 public:
  Pages() = default;
  explicit Pages(size_t bytes) : bytes_(bytes) {
#ifdef MADV_HUGEPAGE
    if (bytes >= 4 * huge_page) {
      mapped_ = bytes_ + huge_page;
      void* found = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (found == MAP_FAILED) throw NotEnough(mapped_);
      all_ = found;
      begin_ = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(found) + huge_page - 1) / huge_page * huge_page);
      madvise(begin_, bytes_, MADV_HUGEPAGE);
      return;
    }
#endif
    begin_ = all_ = std::aligned_alloc(vector_bytes, (bytes + vector_bytes - 1) / vector_bytes * vector_bytes);
    if (!all_) throw NotEnough(bytes);
  }
  Pages(Pages&& other) noexcept { *this = std::move(other); }
  Pages& operator=(Pages&& other) noexcept {
    std::swap(all_, other.all_);
    std::swap(begin_, other.begin_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }
  ~Pages() {
#ifdef MADV_HUGEPAGE
    if (mapped_ > 0) {
      munmap(all_, mapped_);
      return;
    }
#endif
    std::free(all_);
  }

  void* begin() const { return begin_; }

 private:
  static constexpr size_t vector_bytes = 64, huge_page = size_t(1) << 21;
  void *all_ = nullptr, *begin_ = nullptr;
  size_t bytes_ = 0, mapped_ = 0;   // mapped_: 0 where it is the heap's
};

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) { fit(n); }
  Buffer(Buffer&& other) noexcept : pages_(std::move(other.pages_)), room_(std::exchange(other.room_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(pages_, other.pages_);
    std::swap(room_, other.room_);
    return *this;
  }

  /// Makes room for n numbers, whose values are then undefined, and for a vector beyond them. Throws NotEnough.
  T* fit(int64_t n) {
    if (n > room_) {
      pages_ = Pages();   // given back first
      room_ = 0;
      const int64_t wanted = n + n / 8;
      pages_ = Pages(static_cast<size_t>(wanted) * sizeof(T) + beyond);
      room_ = wanted;
    }
    return get();
  }
  T* zeros(int64_t n) {
    T* numbers = fit(n);
    for (int64_t k = 0; k < n; ++k) numbers[k] = T(0);
    return numbers;
  }
  T* get() { return static_cast<T*>(pages_.begin()); }
  const T* get() const { return static_cast<const T*>(pages_.begin()); }

 private:
  static constexpr size_t beyond = 64;   // bytes of a vector
  Pages pages_;
  int64_t room_ = 0;
};

}  // namespace spinconv::native
