// Laws of spinconv::FullPrecision: full products while one lives, and afterwards what the host has set.
// SPDX-License-Identifier: MIT
#include "full_precision.h"

#include "laws.h"

#include <ATen/Context.h>

#include <memory>

namespace {

using laws::check;
using spinconv::FullPrecision;
using Precision = at::Float32Precision;
using Backend = at::Float32Backend;

Precision allowed(Backend backend) { return at::globalContext().float32Precision(backend, at::Float32Op::MATMUL); }

bool is_full() { return allowed(Backend::CUDA) == Precision::IEEE && allowed(Backend::MKLDNN) == Precision::IEEE; }

void check_old_name() {
  auto& torch = at::globalContext();
  torch.setFloat32MatmulPrecision("medium");
  {
    const FullPrecision full;
    check(is_full(), "while one lives nothing less than float32 is used");
    check(torch.float32MatmulPrecision() == at::Float32MatmulPrecision::HIGHEST, "and torch says so under the old name");
  }
  check(torch.float32MatmulPrecision() == at::Float32MatmulPrecision::MEDIUM, "afterwards it is medium again");
  check(allowed(Backend::MKLDNN) == Precision::BF16 && allowed(Backend::CUDA) == Precision::TF32, "of each backend as it was");
  torch.setFloat32MatmulPrecision("highest");
}

void check_new_name() {
  auto& torch = at::globalContext();
  torch.setFloat32Precision(Backend::MKLDNN, at::Float32Op::MATMUL, Precision::BF16);
  {
    const FullPrecision full;
    check(is_full(), "what a backend alone was allowed is not used either");
  }
  check(allowed(Backend::MKLDNN) == Precision::BF16 && allowed(Backend::CUDA) == Precision::IEEE, "and is allowed again");
  torch.setFloat32MatmulPrecision("highest");
}

void check_two() {
  at::globalContext().setFloat32MatmulPrecision("high");
  auto first = std::make_unique<FullPrecision>(), second = std::make_unique<FullPrecision>();
  first.reset();
  check(is_full(), "the first of two to go leaves it to the second");
  second.reset();
  check(allowed(Backend::CUDA) == Precision::TF32, "which restores what the first has found");
  at::globalContext().setFloat32MatmulPrecision("highest");
}

}  // namespace

int main() {
  check_old_name();
  check_new_name();
  check_two();
  return laws::n_failed == 0 ? 0 : 1;
}
