// Which evaluator a model gets: code of our own where there is some, on a GPU or a CPU, unless something else is asked for.
// SPDX-License-Identifier: MIT
#pragma once

#include "container.h"
#include "evaluator.h"

#include <memory>
#include <string>

namespace spinconv {

/// A model, or a processor, that the native evaluator is not for.
class NotNative : public Error {
 public:
  using Error::Error;
};

/// Error for a request that no machine could fulfil.
void check_options(const Options& options);

/// The evaluator of a file, computing in `dtype`. Error where the one that is needed cannot be had here, or the file is not what it says.
std::unique_ptr<Evaluator> choose_evaluator(const Container& container, const std::string& name, const Options& options, const std::string& dtype);

/// Whether the driver of NVIDIA's GPUs finds one; whether anything here can use it, is not asked.
bool has_gpu();

}  // namespace spinconv
