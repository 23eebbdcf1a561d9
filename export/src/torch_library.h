// libspinconv_torch.so, the evaluator by torch: for CUDA, for kinds of models that the native evaluator is not for, and for who asks for it. It is loaded
// when it is needed, so that no other process has libtorch in it.
// SPDX-License-Identifier: MIT
#pragma once

#include "container.h"
#include "evaluator.h"

#include <memory>
#include <string>

namespace spinconv {

/// What the library shows, under this name: the evaluator of a file, in a precision, on Options::device. Error as Model's constructor has it.
using MakeTorchEvaluator = Evaluator* (*)(const Container& container, const std::string& name, const Options& options, const std::string& dtype);
constexpr const char* make_torch_evaluator = "spinconv_make_torch_evaluator_1";   // another number where the interface changes

/// Error, which goes on after "torch ", where torch or the library is not here or does not fit.
MakeTorchEvaluator load_torch_library();

}  // namespace spinconv
