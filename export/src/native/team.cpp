// SPDX-License-Identifier: MIT
#include "team.h"

#include <unistd.h>

namespace spinconv::native {

void Team::resize(int n) {
  if (n == size_) return;
  dismiss();
  size_ = n;
}

void Team::run(int64_t n, Call call, const void* task) {
  if (size_ == 1 || n < 2) {
    for (int64_t k = 0; k < n; ++k) call(task, k, 0);
    return;
  }
  hire();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    call_ = call;
    task_ = task;
    n_tasks_ = n;
    next_ = 0;
    n_busy_ = static_cast<int>(threads_.size());
    ++round_;
  }
  begun_.notify_all();
  take_tasks(0);
  std::unique_lock<std::mutex> lock(mutex_);
  ended_.wait(lock, [&] { return n_busy_ == 0; });
}

void Team::hire() {
  if (process_ == getpid()) return;
  for (auto& thread : threads_) thread.detach();   // of the process that this one was forked from
  threads_.clear();
  process_ = getpid();
  for (int worker = 1; worker < size_; ++worker) threads_.emplace_back([this, worker] { work(worker); });
}

void Team::dismiss() {
  if (process_ == getpid()) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_over_ = true;
    }
    begun_.notify_all();
    for (auto& thread : threads_) thread.join();
  } else {
    for (auto& thread : threads_) thread.detach();
  }
  threads_.clear();
  process_ = 0;
  is_over_ = false;
}

void Team::work(int worker) {
  for (int64_t seen = 0;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      begun_.wait(lock, [&] { return is_over_ || round_ != seen; });
      if (is_over_) return;
      seen = round_;
    }
    take_tasks(worker);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--n_busy_ == 0) ended_.notify_one();
  }
}

void Team::take_tasks(int worker) {
  for (int64_t k; (k = next_.fetch_add(1)) < n_tasks_;) call_(task_, k, worker);
}

}  // namespace spinconv::native
