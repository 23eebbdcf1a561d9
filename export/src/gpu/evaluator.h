// What evaluates a harmonic model on a device (spinconv/device.h) without torch: graphs that come from the host, or atoms whose positions and forces stay
// on the device (spinconv/on_device.h), by one network.
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

}  // namespace spinconv::gpu
