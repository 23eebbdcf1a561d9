// AVX-512: compiled with -march=x86-64-v4.
// SPDX-License-Identifier: MIT
#define SPINCONV_LEVEL level_x86_64_v4
#define SPINCONV_TRAINING_LEVEL training_level_x86_64_v4
#define SPINCONV_VECTOR_BYTES 64
#define SPINCONV_VECTOR_REGISTERS 32
#include "level.h"
