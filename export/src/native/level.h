// All stages for the instruction set that the including unit is compiled for: what it defines is SPINCONV_LEVEL, the name of the function,
// SPINCONV_LEVEL_NAME, SPINCONV_VECTOR_BYTES and SPINCONV_VECTOR_REGISTERS. The unit includes nothing else, has no variables that are
// made when the library is loaded, and shares no function with others.
// SPDX-License-Identifier: MIT
#include "coupling.h"
#include "geometry.h"
#include "messages.h"
#include "moments.h"
#include "readout.h"
#include "spin.h"
#include "splines.h"

namespace spinconv::native {
namespace {

template <class T>
constexpr Kernels<T> kernels = {
    geometry<T>, geometry_back<T>, initial<T>, initial_back<T>, moments<T>, moments_back<T>, coupling<T>, coupling_back<T>,
    spin<T>, spin_back<T>, spin_back_polynomial<T>, messages<T>, messages_back<T>, sums<T>, sums_back<T>, head<T>,
};

}  // namespace

Level SPINCONV_LEVEL() { return {SPINCONV_LEVEL_NAME, kernels<float>, kernels<double>}; }

}  // namespace spinconv::native
