// Threads that share out the tasks of a stage. Which thread does a task changes nothing: tasks write to places of their own.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace spinconv::native {

class Team {
 public:
  Team() = default;
  ~Team() { dismiss(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// How many threads work from now on, the calling one among them.
  void resize(int n);
  int size() const { return size_; }
  /// Calls task(0) to task(n - 1), each once, and returns when all are done; `worker` counts the threads from 0. Tasks do not throw.
  template <class Task>
  void run(int64_t n, Task&& task) {
    run(n, [](const void* of, int64_t k, int worker) { (*static_cast<const std::remove_reference_t<Task>*>(of))(k, worker); }, &task);
  }

 private:
  using Call = void (*)(const void* task, int64_t k, int worker);

  void run(int64_t n, Call call, const void* task);
  void hire();
  void dismiss();
  void work(int worker);
  void take_tasks(int worker);

  int size_ = 1;
  long process_ = 0;   // that the threads are of: a forked one has none of them
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  int64_t round_ = 0, n_tasks_ = 0;
  int n_busy_ = 0;
  bool is_over_ = false;
  std::atomic<int64_t> next_{0};
  Call call_ = nullptr;
  const void* task_ = nullptr;
};

}  // namespace spinconv::native
