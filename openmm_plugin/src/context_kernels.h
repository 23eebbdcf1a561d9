// Kernels of the plugin's own, in a Context's program: OpenMM's words (mm_ulong; atom_add, where a device of OpenCL has none) stand before them. Slots are the
// places of OpenMM's arrays, which it sorts anew now and then: `particles` says whose a slot is, `atoms` which atom of the model a particle is, -1 for none.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv {

/// To zero, and from one array to another, in words of four bytes.
constexpr const char* memory_page = R"KERNELS(
KERNEL(128) clear_words(int64_t n, int64_t at, GLOBAL int32_t* RESTRICT to AND_GROUPS) {
  EACH_GROUP {
    const int64_t i = (int64_t)group * 128 + THREAD;
    if (i < n) to[at + i] = 0;
  }
}

KERNEL(128) copy_words(int64_t n, int64_t from_at, GLOBAL const int32_t* RESTRICT from, int64_t to_at, GLOBAL int32_t* RESTRICT to AND_GROUPS) {
  EACH_GROUP {
    const int64_t i = (int64_t)group * 128 + THREAD;
    if (i < n) to[to_at + i] = from[from_at + i];
  }
}
)KERNELS";

/// Positions out of a Context and forces into it. WIDE_IS_DOUBLE: our positions, forces and energies; POSITIONS_ARE_DOUBLE: OpenMM's.
constexpr const char* atoms_page = R"KERNELS(
#ifdef WIDE_IS_DOUBLE
  #ifdef __OPENCL_VERSION__
    #pragma OPENCL EXTENSION cl_khr_fp64 : enable
  #endif
typedef double wide;
typedef int64_t bits_of_wide;
  #define W(number) number
  #define EXPONENT 0x7ff0000000000000
#else
typedef float wide;
typedef int32_t bits_of_wide;
  #define W(number) number##f
  #define EXPONENT 0x7f800000
#endif
#ifdef POSITIONS_ARE_DOUBLE
typedef double given;
#else
typedef float given;
#endif

#ifdef __OPENCL_VERSION__
  #define ADD_TO(place, number) atom_add(place, number)
#else
  #define ADD_TO(place, number) atomicAdd(place, number)
#endif

// By its bits: the compiler may have been told that all numbers are finite.
FUNCTION int has_value(wide x) {
  union { wide number; bits_of_wide bits; } of;
  of.number = x;
  return (of.bits & EXPONENT) != EXPONENT;
}

// Å of nm: ten times what a slot has, with the digits that mixed precision keeps beside it (`corrections`, or null), less the cells by which OpenMM
// moved the particle into the box (`cells`, or null where that does not matter; `box` has rows of lattice vectors, nm).
KERNEL(128) gather(int32_t n_slots, GLOBAL const int32_t* RESTRICT particles, GLOBAL const int32_t* RESTRICT atoms, GLOBAL const given* RESTRICT slots,
                   GLOBAL const float* RESTRICT corrections, GLOBAL const int32_t* RESTRICT cells, GLOBAL const wide* RESTRICT box,
                   GLOBAL wide* RESTRICT positions AND_GROUPS) {
  EACH_GROUP {
    const int slot = group * 128 + THREAD;
    const int atom = slot < n_slots ? atoms[particles[slot]] : -1;
    for (int c = 0; c < 3 && atom >= 0; ++c) {
      wide x = (wide)slots[4 * slot + c];
      if (corrections != 0) x += (wide)corrections[4 * slot + c];
      if (cells != 0) x -= (wide)cells[4 * slot] * box[c] + (wide)cells[4 * slot + 1] * box[3 + c] + (wide)cells[4 * slot + 2] * box[6 + c];
      positions[3 * (int64_t)atom + c] = W(10.0) * x;
    }
  }
}

// Adds forces, times FORCE_UNIT for kJ/mol/nm, in OpenMM's fixed point, [3][n_rows]. Sums of whole numbers are the same in any order; other queues of the Context
// may add at the same time. `trouble` becomes an atom, one more than its index, whose force is not finite.
KERNEL(128) scatter(int32_t n_slots, int32_t n_rows, GLOBAL const int32_t* RESTRICT particles, GLOBAL const int32_t* RESTRICT atoms, GLOBAL const wide* RESTRICT forces,
                    GLOBAL mm_ulong* RESTRICT to, GLOBAL int32_t* RESTRICT trouble AND_GROUPS) {
  EACH_GROUP {
    const int slot = group * 128 + THREAD;
    const int atom = slot < n_slots ? atoms[particles[slot]] : -1;
    for (int c = 0; c < 3 && atom >= 0; ++c) {
      const wide force = forces[3 * atom + c];
      if (!has_value(force)) {
        trouble[0] = atom + 1;
        continue;
      }
      const wide most = W(9.2e18), scaled = force * FORCE_UNIT * W(4294967296.0);
      const int64_t fixed = (int64_t)(scaled > most ? most : scaled < -most ? -most : scaled);
      ADD_TO(&to[slot + c * n_rows], (mm_ulong)fixed);
    }
  }
}

// In one group, in a fixed order, to sum[0].
KERNEL(128) add_energies(int32_t n_atoms, GLOBAL const wide* RESTRICT energies, GLOBAL wide* RESTRICT sum AND_GROUPS) {
  SHARED wide parts[128];
  EACH_GROUP {
    wide part = 0;
    for (int i = THREAD; i < n_atoms; i += 128) part += energies[i];
    parts[THREAD] = part;
    for (int width = 64; width > 0; width /= 2) {
      SYNCHRONIZE;
      if (THREAD < width) parts[THREAD] += parts[THREAD + width];
    }
    if (THREAD == 0) sum[group] = parts[0];
  }
}
)KERNELS";

}  // namespace spinconv
