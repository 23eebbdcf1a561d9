// What a host has set in torch changes no number of a model.
// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/SavedTensorHooks.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include "full_precision.h"

namespace spinconv {

/// While it lives torch differentiates on this thread and computes in the precision it is told: Python around an engine may have said
/// inference_mode, no_grad, autocast or set_float32_matmul_precision, see each operation by a mode, or by a hook what the backward pass
/// needs again. Profiling and fusion are off: they would slow the first steps, again whenever sizes change, and
/// gain nothing on a CPU. Afterwards all is as it was.
class PlainTorch {
 public:
  PlainTorch() {
    at::SavedTensorDefaultHooks::set_tls_state({});
    c10::impl::TorchDispatchModeTLS::set_state({});
  }
  ~PlainTorch() {
    c10::impl::TorchDispatchModeTLS::set_state(std::move(modes_));
    at::SavedTensorDefaultHooks::set_tls_state(hooks_);
  }
  PlainTorch(const PlainTorch&) = delete;
  PlainTorch& operator=(const PlainTorch&) = delete;

 private:
  c10::InferenceMode no_inference_{false};
  at::AutoGradMode gradients_{true};
  c10::impl::ExcludeDispatchKeyGuard no_autocast_{c10::autocast_dispatch_keyset};
  torch::jit::GraphOptimizerEnabledGuard no_optimizer_{false};
  FullPrecision full_precision_;
  at::impl::SavedTensorDefaultHooksTLS hooks_ = at::SavedTensorDefaultHooks::get_tls_state();
  c10::impl::TorchDispatchModeTLS modes_ = c10::impl::TorchDispatchModeTLS::get_state();
};

}  // namespace spinconv
