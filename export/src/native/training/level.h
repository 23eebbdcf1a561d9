// The stages of a training step for the instruction set that the including unit is compiled for; see ../level.h, whose rules hold here too.
// SPDX-License-Identifier: MIT
#include "coupling_tangents.h"
#include "layer.h"
#include "tangents.h"

namespace spinconv::native {
namespace {

template <class T>
constexpr TrainingKernels<T> training_kernels = {
    {layer<T, 1>, layer<T, 2>},
    {layer_back<T, 1>, layer_back<T, 2>},
    geometry_tangents<T>,
    moments_of_numbers<T>,
    moments_of_numbers_back<T>,
    sums_of_numbers<T>,
    sums_of_numbers_back<T>,
    {spin_of_numbers<T, 1>, spin_of_numbers<T, 2>},
    spin_of_numbers_back<T>,
    coupling_of_numbers<T>,
    coupling_of_numbers_back<T>,
};

}  // namespace

TrainingLevel SPINCONV_TRAINING_LEVEL() { return {SPINCONV_LEVEL(), training_kernels<float>, training_kernels<double>}; }

}  // namespace spinconv::native
