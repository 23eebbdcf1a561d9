// The evaluation of a harmonic model on a device (device.h), without torch: the stages of the native evaluator as kernels, with the exchanges between
// processes where that has them.
//
// No number of an edge is kept but its gradient: messages are sums of what blocks add, so that moments, energies and their derivatives are sums over blocks
// too, and each is computed when it is needed, once forward and once backward. So atoms bound the system, some (N_low (2 blocks + 1) + N_high) channels
// numbers each. Sums run in a fixed order: the same bits from run to run.
// SPDX-License-Identifier: MIT
#pragma once

#include "../container.h"
#include "../evaluator.h"
#include "spinconv/device.h"

#include <memory>
#include <string>

namespace spinconv::gpu {

/// On a device, which may be shared with an engine; null for models that this code is not for. Error with what is missing.
std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, std::shared_ptr<Device> device);

/// On the device of a name, "cuda", "cuda:<index>", "opencl" or "opencl:<index>" (open_device), opened for models that this code is for.
std::unique_ptr<Evaluator> make_evaluator(const Container& container, const std::string& dtype, const std::string& device, int process);

/// The text of the kernels for a model, as `make_evaluator` compiles it for a device with so much memory for a work group. Error for models that it is not for.
std::string text_of(const Container& container, const std::string& dtype, int64_t shared_memory);

}  // namespace spinconv::gpu
