// Kernels from the sums into atoms to their energies, E = W2 (silu(W1 S + b1) * g[element]) + b2, and to dE/dS; the walls; and what moves numbers about.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* readout_page = R"KERNELS(
#define HEAD_BIAS (weights + 2 * MATRIX)
#define HEAD_ROW (weights + 2 * MATRIX + CHANNELS)          // W2
#define HEAD_CONSTANT (weights[2 * MATRIX + 2 * CHANNELS])  // b2
#define HEAD_FACTORS (weights + 2 * MATRIX + 2 * CHANNELS + 4)

// A work group has EDGES atoms. dE/dS is times `scale`; null where it is not wanted.
KERNEL(THREADS) head(int32_t n_atoms, GLOBAL const int32_t* RESTRICT elements, GLOBAL const real* RESTRICT sums, GLOBAL const real* RESTRICT weights, real scale,
                     GLOBAL real* RESTRICT energies, GLOBAL real* RESTRICT of_sums AND_GROUPS) {
  SHARED real x[CHANNELS * STRIDE], parts[PANELS * STRIDE];
  SHARED int element[EDGES];
  EACH_GROUP {
    const int first = group * EDGES;
    if (THREAD < EDGES) element[THREAD] = first + THREAD < n_atoms ? elements[first + THREAD] : 0;
    real4 rows[4], slopes[4], of_edges[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int atom = first + 4 * QUAD + e;
      of_edges[e] = atom < n_atoms ? LOAD4(sums + (int64_t)atom * CHANNELS + 4 * PANEL) : all(R(0.0));
    }
    set_all(rows, all(R(0.0)));
    add_transposed(rows, of_edges[0], of_edges[1], of_edges[2], of_edges[3]);
    put(x, rows);
    SYNCHRONIZE;
    set_all(rows, LOAD4(HEAD_BIAS + 4 * PANEL));
    add_product(rows, x, weights);
    hidden_values(rows, slopes, HEAD_FACTORS, element);
    real4 last[4];
    set_all(last, LOAD4(HEAD_ROW + 4 * PANEL));
    SHARED4(parts + PANEL * STRIDE + 4 * QUAD) = over_channels(rows, last);
    SYNCHRONIZE;
    multiply(slopes, last);
    put(x, slopes);
    if (THREAD < EDGES && first + THREAD < n_atoms) energies[first + THREAD] = over_panels(parts, THREAD) + HEAD_CONSTANT;
    SYNCHRONIZE;
    if (of_sums == 0) continue;
    product(rows, x, weights + MATRIX);
#pragma unroll
    for (int c = 0; c < 4; ++c) rows[c] = scaled(scale, rows[c]);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int atom = first + 4 * QUAD + e;
      if (atom >= n_atoms) continue;
      GLOBAL real* to = of_sums + (int64_t)atom * CHANNELS + 4 * PANEL;
#pragma unroll
      for (int c = 0; c < 4; ++c) to[c] = e == 0 ? rows[c].x : e == 1 ? rows[c].y : e == 2 ? rows[c].z : rows[c].w;
    }
  }
}

// D before any block: the first row from the sums, which are `ratio` times the first moments; n numbers.
KERNEL(ATOM_THREADS) begin_gradients(int64_t n, real ratio, GLOBAL const real* RESTRICT of_sums, GLOBAL real* RESTRICT of_moments AND_GROUPS) {
  EACH_GROUP {
    const int64_t k = (int64_t)group * ATOM_THREADS + THREAD;
    if (k >= n) continue;
    const int64_t atom = k / (N_LOW * CHANNELS), place = k % (N_LOW * CHANNELS);
    of_moments[k] = place < CHANNELS && of_sums != 0 ? ratio * of_sums[atom * CHANNELS + place] : R(0.0);
  }
}

KERNEL(ATOM_THREADS) add_numbers(int64_t n, real factor, GLOBAL const real* RESTRICT from, GLOBAL real* RESTRICT to AND_GROUPS) {
  EACH_GROUP {
    const int64_t k = (int64_t)group * ATOM_THREADS + THREAD;
    if (k < n) to[k] += factor * from[k];
  }
}

// Rows of chosen atoms, packed, and back again; n numbers of them.
KERNEL(ATOM_THREADS) pick_rows(int64_t n, int32_t width, GLOBAL const int32_t* RESTRICT atoms, GLOBAL const real* RESTRICT from, GLOBAL real* RESTRICT to AND_GROUPS) {
  EACH_GROUP {
    const int64_t k = (int64_t)group * ATOM_THREADS + THREAD;
    if (k < n) to[k] = from[(int64_t)atoms[k / width] * width + k % width];
  }
}

KERNEL(ATOM_THREADS) add_rows(int64_t n, int32_t width, GLOBAL const int32_t* RESTRICT atoms, GLOBAL const real* RESTRICT from, GLOBAL real* RESTRICT to AND_GROUPS) {
  EACH_GROUP {
    const int64_t k = (int64_t)group * ATOM_THREADS + THREAD;
    if (k < n) to[(int64_t)atoms[k / width] * width + k % width] += from[k];
  }
}

// To the sums of atoms, from the first rows of their moments; n numbers.
KERNEL(ATOM_THREADS) add_first_rows(int64_t n, real factor, GLOBAL const real* RESTRICT moments, GLOBAL real* RESTRICT sums AND_GROUPS) {
  EACH_GROUP {
    const int64_t k = (int64_t)group * ATOM_THREADS + THREAD;
    if (k < n) sums[k] += factor * moments[k / CHANNELS * (N_LOW * CHANNELS) + k % CHANNELS];
  }
}

// Half the screened repulsion of two nuclei, faded out (potential/harmonic/equations.py, wall), and its derivative along the edge; a thread has a receiver.
// `constants`: [pair][4 amplitudes (eV Å), 4 rates (1/Å), 1 / reach, 1 / cutoff (1/Å)].
KERNEL(ATOM_THREADS) repel(EDGE_ARGUMENTS, int32_t n_nodes, GLOBAL const int32_t* RESTRICT first, GLOBAL const int32_t* RESTRICT received, GLOBAL const wide* RESTRICT constants,
                           GLOBAL wide* RESTRICT walls, GLOBAL real* RESTRICT gradients AND_GROUPS) {
  EACH_GROUP {
    const int i = group * ATOM_THREADS + THREAD;
    if (i >= n_nodes) continue;
    wide sum = 0;
    for (int k = first[i]; k < first[i + 1]; ++k) {
      const int e = received[k];
      GLOBAL const wide* of_pair = constants + 10 * pairs[e];
      const wide x = vectors[3 * (int64_t)e], y = vectors[3 * (int64_t)e + 1], z = vectors[3 * (int64_t)e + 2];
      const wide d = sqrt(x * x + y * y + z * z), part = d * of_pair[8];
      if (part >= 1 || d == 0) continue;
      wide screened = 0, of_screened = 0;
      for (int n = 0; n < 4; ++n) {
        const wide term = of_pair[n] * exp(of_pair[4 + n] * d);
        screened += term, of_screened += of_pair[4 + n] * term;
      }
      const wide fifth = part * part * part * part * part, fade = 1 + fifth * part * (-28 + part * (48 - 21 * part));
      const wide of_fade = -168 * fifth * (1 - part) * (1 - part) * of_pair[8];
      sum += screened * fade / d;
      if (gradients == 0) continue;
      const wide slope = (of_screened * fade + screened * of_fade - screened * fade / d) / (d * d);
      gradients[3 * (int64_t)e] += (real)(slope * x), gradients[3 * (int64_t)e + 1] += (real)(slope * y), gradients[3 * (int64_t)e + 2] += (real)(slope * z);
    }
    walls[i] = sum;
  }
}
)KERNELS";

}  // namespace spinconv::gpu
