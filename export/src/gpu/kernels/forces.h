// Kernels from the gradients of edges to what engines add up: forces, energies and virials of atoms, in `wide` numbers and in the order of lists.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* forces_page = R"KERNELS(
#define LISTS GLOBAL const int32_t* RESTRICT sent_first, GLOBAL const int32_t* RESTRICT received_first, GLOBAL const int32_t* RESTRICT received
#define GRADIENTS GLOBAL const real* RESTRICT vectors, GLOBAL const real* RESTRICT gradients

// dE/dr of an edge from j to i, r = x_j - x_i, pulls i along and j against it. Ghosts only receive.
KERNEL(ATOM_THREADS) add_up_forces(int32_t n_atoms, int32_t n_nodes, LISTS, GLOBAL const real* RESTRICT gradients, GLOBAL wide* RESTRICT forces AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_nodes) continue;
    wide x = 0, y = 0, z = 0;
    for (int k = received_first[i]; k < received_first[i + 1]; ++k) {
      GLOBAL const real* g = gradients + 3 * (int64_t)received[k];
      x += g[0], y += g[1], z += g[2];
    }
    if (i < n_atoms)
      for (int e = sent_first[i]; e < sent_first[i + 1]; ++e) {
        GLOBAL const real* g = gradients + 3 * (int64_t)e;
        x -= g[0], y -= g[1], z -= g[2];
      }
    forces[3 * (int64_t)i] = x, forces[3 * (int64_t)i + 1] = y, forces[3 * (int64_t)i + 2] = z;
  }
}

FUNCTION void add_virial(wide* sums, int64_t e, GRADIENTS) {
  const wide x = vectors[3 * e], y = vectors[3 * e + 1], z = vectors[3 * e + 2], gx = gradients[3 * e], gy = gradients[3 * e + 1], gz = gradients[3 * e + 2];
  sums[0] -= x * gx, sums[1] -= y * gy, sums[2] -= z * gz;
  sums[3] -= (x * gy + y * gx) / 2, sums[4] -= (x * gz + z * gx) / 2, sums[5] -= (y * gz + z * gy) / 2;
}

// Half of every edge to each of its ends: xx yy zz xy xz yz.
KERNEL(ATOM_THREADS) add_up_virials(int32_t n_atoms, int32_t n_nodes, LISTS, GRADIENTS, GLOBAL wide* RESTRICT virials AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_nodes) continue;
    wide sums[6] = {0, 0, 0, 0, 0, 0};
    for (int k = received_first[i]; k < received_first[i + 1]; ++k) add_virial(sums, received[k], vectors, gradients);
    if (i < n_atoms)
      for (int e = sent_first[i]; e < sent_first[i + 1]; ++e) add_virial(sums, e, vectors, gradients);
    for (int c = 0; c < 6; ++c) virials[6 * (int64_t)i + c] = sums[c] / 2;
  }
}

// First moments of energies, differentiated about the sender, become those about the receiver, x_j = x_i + r. Before the walls are added to gradients, whose
// energies are the receivers'.
KERNEL(ATOM_THREADS) about_receivers(int32_t last_edge, GRADIENTS, GLOBAL real* RESTRICT moments AND_GROUPS) {
  EACH_GROUP {
    const int64_t e = OWN_NUMBER;
    if (e >= last_edge) continue;
    for (int a = 0; a < 3; ++a)
      for (int b = 0; b < 3; ++b) moments[9 * e + 3 * a + b] += vectors[3 * e + a] * gradients[3 * e + b];
  }
}

// Sum over edges from an atom of (Q - r (x) g) less the sum over edges into it of Q, with all gradients (Result::centroid).
KERNEL(ATOM_THREADS) add_up_centroid_virials(int32_t n_atoms, int32_t n_nodes, LISTS, GRADIENTS, GLOBAL const real* RESTRICT moments, GLOBAL wide* RESTRICT virials AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_nodes) continue;
    wide sums[9] = {0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (int k = received_first[i]; k < received_first[i + 1]; ++k)
      for (int c = 0; c < 9; ++c) sums[c] -= moments[9 * (int64_t)received[k] + c];
    if (i < n_atoms)
      for (int64_t e = sent_first[i]; e < sent_first[i + 1]; ++e)
        for (int c = 0; c < 9; ++c) sums[c] += moments[9 * e + c] - (wide)vectors[3 * e + c / 3] * gradients[3 * e + c % 3];
    for (int c = 0; c < 9; ++c) virials[9 * (int64_t)i + c] = sums[c];
  }
}

// `of_elements`: [element][reference energy, what the network says of it alone].
KERNEL(ATOM_THREADS) add_up_energies(int32_t n_atoms, GLOBAL const int32_t* RESTRICT elements, GLOBAL const wide* RESTRICT of_elements, wide scale, GLOBAL const real* RESTRICT by_network,
                                     GLOBAL const wide* RESTRICT walls, GLOBAL wide* RESTRICT energies AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_atoms) continue;
    GLOBAL const wide* own = of_elements + 2 * elements[i];
    energies[i] = own[0] + scale * (by_network[i] - own[1]) + walls[i];
  }
}

// Sums of `width` columns, of as many rows as a group has threads; [groups][width].
KERNEL(ATOM_THREADS) add_up_rows(int32_t n, int32_t width, GLOBAL const wide* RESTRICT rows, GLOBAL wide* RESTRICT sums AND_GROUPS) {
  SHARED wide parts[ATOM_THREADS];
  EACH_GROUP {
    for (int c = 0; c < width; ++c) {
      parts[THREAD] = OWN_NUMBER < n ? rows[OWN_NUMBER * (int64_t)width + c] : 0;
      for (int width_left = ATOM_THREADS / 2; width_left > 0; width_left /= 2) {
        SYNCHRONIZE;
        if (THREAD < width_left) parts[THREAD] += parts[THREAD + width_left];
      }
      if (THREAD == 0) sums[group * (int64_t)width + c] = parts[0];
      SYNCHRONIZE;
    }
  }
}

// Atoms unlike those of training (extrapolation.h), of this process: `shortest` [pair], squared, `neighbors` [element][least, most]; `count` is added to.
KERNEL(ATOM_THREADS) look_outside(int32_t n_atoms, wide cutoff, GLOBAL const int32_t* RESTRICT sent_first, GLOBAL const real* RESTRICT vectors, GLOBAL const int32_t* RESTRICT pairs,
                                  GLOBAL const int32_t* RESTRICT elements, GLOBAL const wide* RESTRICT shortest, GLOBAL const int32_t* RESTRICT neighbors,
                                  GLOBAL int32_t* RESTRICT outside, GLOBAL int32_t* count AND_GROUPS) {
  EACH_GROUP {
    const int i = OWN_NUMBER;
    if (i >= n_atoms) continue;
    int n = 0, is_outside = 0;
    for (int64_t e = sent_first[i]; e < sent_first[i + 1]; ++e) {
      const wide x = vectors[3 * e], y = vectors[3 * e + 1], z = vectors[3 * e + 2], squared = x * x + y * y + z * z;
      if (vectors[3 * e] > (real)(3 * cutoff / 2)) continue;
      ++n;
      if (squared < shortest[pairs[e]]) is_outside = 1;
    }
    if (n < neighbors[2 * elements[i]] || n > neighbors[2 * elements[i] + 1]) is_outside = 1;
    outside[i] = is_outside;
    if (is_outside) ATOMIC_ADD(count, 1);
  }
}
)KERNELS";

}  // namespace spinconv::gpu
