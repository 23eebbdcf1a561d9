// AVX2 and FMA: compiled with -march=x86-64-v3.
// SPDX-License-Identifier: MIT
#define SPINCONV_LEVEL level_x86_64_v3
#define SPINCONV_TRAINING_LEVEL training_level_x86_64_v3
#define SPINCONV_VECTOR_BYTES 32
#define SPINCONV_VECTOR_REGISTERS 16
#include "level.h"
