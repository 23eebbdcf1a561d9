// SPDX-License-Identifier: MIT
#include "Warning.h"

#include <openmm/OpenMMException.h>

#include <atomic>
#include <iostream>

namespace spinconv {
namespace {

std::atomic<WarningHandler> handler_of_process{nullptr};

}  // namespace

void set_warning_handler(WarningHandler handler) { handler_of_process = handler; }

void warn(const std::string& words) {
  const WarningHandler handler = handler_of_process;
  if (handler == nullptr) {
    std::cerr << "WARNING: " + words + "\n" << std::flush;
  } else if (handler(words.c_str()) != 0) {
    throw OpenMM::OpenMMException(words);
  }
}

}  // namespace spinconv
