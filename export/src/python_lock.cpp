// SPDX-License-Identifier: MIT
#include "python_lock.h"

#include <dlfcn.h>

namespace spinconv {
namespace {

/// Functions of the Python in this process; all null where there is none.
struct Python {
  int (*is_initialized)() = nullptr;
  int (*has_lock)() = nullptr;
  void* (*save_thread)() = nullptr;
  void (*restore_thread)(void*) = nullptr;

  template <class Function>
  static void find(const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
  }

  Python() {
    find("Py_IsInitialized", is_initialized);
    find("PyGILState_Check", has_lock);
    find("PyEval_SaveThread", save_thread);
    find("PyEval_RestoreThread", restore_thread);
  }
};

const Python& python() {
  static const Python functions;
  return functions;
}

}  // namespace

WithoutPythonLock::WithoutPythonLock() {
  const auto& it = python();
  if (it.is_initialized != nullptr && it.has_lock != nullptr && it.save_thread != nullptr && it.restore_thread != nullptr &&
      it.is_initialized() != 0 && it.has_lock() != 0) {
    thread_state_ = it.save_thread();
  }
}

WithoutPythonLock::~WithoutPythonLock() {
  if (thread_state_ != nullptr) python().restore_thread(thread_state_);
}

}  // namespace spinconv
