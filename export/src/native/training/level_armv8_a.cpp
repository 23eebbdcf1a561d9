// NEON: compiled with -march=armv8-a.
// SPDX-License-Identifier: MIT
#define SPINCONV_LEVEL level_armv8_a
#define SPINCONV_TRAINING_LEVEL training_level_armv8_a
#define SPINCONV_LEVEL_NAME "armv8-a"
#define SPINCONV_VECTOR_BYTES 16
#define SPINCONV_VECTOR_REGISTERS 32
#include "level.h"
