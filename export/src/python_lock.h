// Python's global lock, seen from a library that is not linked to Python.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv {

/// Gives the lock back while it lives, where this thread holds it: others need not wait for an evaluation, and torch's gradients refuse to be
/// computed under it ("The autograd engine was called while holding the GIL"). Some callers keep it, as OpenMM's minimizer does when it
/// reports to Python.
class WithoutPythonLock {
 public:
  WithoutPythonLock();
  ~WithoutPythonLock();
  WithoutPythonLock(const WithoutPythonLock&) = delete;
  WithoutPythonLock& operator=(const WithoutPythonLock&) = delete;

 private:
  void* thread_state_ = nullptr;
};

}  // namespace spinconv
