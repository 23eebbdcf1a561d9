// The probe of a model file, computed again.
// SPDX-License-Identifier: MIT
#pragma once

#include "evaluator.h"
#include "metadata.h"

#include <string>

namespace spinconv {

/// Error, which begins with "gives other numbers" and wants the name of the file before it, unless `evaluator`, which computes in `dtype`, gives
/// for the probe what the model gave that the file was made of.
void check_probe(const Metadata& metadata, const std::string& dtype, Evaluator& evaluator);

}  // namespace spinconv
