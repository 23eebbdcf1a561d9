// Products of float32 matrices in float32, whatever less a host allows. export/plain_torch.py does the same.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv {

/// While one lives torch makes no use of TF32 and bfloat16, which `torch.set_float32_matmul_precision` and `torch.backends` allow. Torch
/// keeps that for the whole process, not by thread: the last one to go restores what the first one found.
class FullPrecision {
 public:
  FullPrecision();
  ~FullPrecision();
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;
};

}  // namespace spinconv
