// SPDX-License-Identifier: MIT
#include "full_precision.h"

#include <ATen/Context.h>

#include <mutex>
#include <optional>
#include <string>

namespace spinconv {
namespace {

using Precision = at::Float32Precision;

/// What torch may use in products of float32 matrices.
struct Allowed {
  Precision cuda, mkldnn;
  std::optional<std::string> by_old_name;   // of set_float32_matmul_precision; none where it was set otherwise
};

std::mutex mutex;
int n_alive = 0;
std::optional<Allowed> before;   // where it was less than the full one

Precision precision(at::Float32Backend backend) { return at::globalContext().float32Precision(backend, at::Float32Op::MATMUL); }

bool is_reduced(Precision p) { return p == Precision::TF32 || p == Precision::BF16; }

std::optional<std::string> by_old_name() {
  try {
    switch (at::globalContext().float32MatmulPrecision()) {
      case at::Float32MatmulPrecision::HIGHEST: return "highest";
      case at::Float32MatmulPrecision::HIGH: return "high";
      case at::Float32MatmulPrecision::MEDIUM: return "medium";
    }
  } catch (const c10::Error&) {   // set by the new names, of which torch does not speak in the old ones
  }
  return std::nullopt;
}

void restore(const Allowed& allowed) {
  auto& torch = at::globalContext();
  if (allowed.by_old_name) torch.setFloat32MatmulPrecision(*allowed.by_old_name);
  torch.setFloat32Precision(at::Float32Backend::CUDA, at::Float32Op::MATMUL, allowed.cuda);
  torch.setFloat32Precision(at::Float32Backend::MKLDNN, at::Float32Op::MATMUL, allowed.mkldnn);
}

}  // namespace

FullPrecision::FullPrecision() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (n_alive++ > 0) return;
  const auto cuda = precision(at::Float32Backend::CUDA), mkldnn = precision(at::Float32Backend::MKLDNN);
  if (!is_reduced(cuda) && !is_reduced(mkldnn)) return;
  before = Allowed{cuda, mkldnn, by_old_name()};
  at::globalContext().setFloat32MatmulPrecision("highest");
}

FullPrecision::~FullPrecision() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (--n_alive > 0 || !before) return;
  restore(*before);
  before.reset();
}

}  // namespace spinconv
