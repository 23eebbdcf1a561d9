// Kernels of the way back, by the atoms that send: a work group has some of them with all their edges, computes the block again, and goes through it
// backward. With D_i the derivatives by the moments of all messages from here on (those of later blocks and, as its first row, the energy's sums),
//
//   g_e[c] = factor * sum_lm Y_e[lm] D_i[lm, c],   dE/dm_e = u_e g_e,   dE/du_e += g_e . added_e,   dE/dY_e[lm] += u_e factor sum_c added_e[c] D_i[lm, c]
//
// holds for what one block adds to the messages, because messages are sums of what blocks add. The derivative by the atom's polynomial replaces it.
//
// A first moment of the energies, sum_i x_i^a E_i, is differentiated by the same kernels about the atom that sends: D_i is then that of the moment about
// the receiver less r_a times the energy's (`energy`; null for the energy itself).
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* send_page = R"KERNELS(
#define POLYNOMIAL_OF_THREAD ((N_HIGH + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE)
#define HARMONICS_OF_THREAD ((N_HIGH + PANELS - 1) / PANELS)
#define OWN_POLYNOMIAL (polynomials + (int64_t)sender[4 * QUAD] * (N_HIGH * CHANNELS))   // of four edges
#define EDGE_THREADS (THREADS / EDGES)   // threads for each edge, when a thread has one edge

// Knots are not RESTRICT: what was read of them before a barrier would stay in registers, 96 numbers, until their slopes are wanted.
#define SEND_ARGUMENTS EDGE_ARGUMENTS, GLOBAL const int32_t* RESTRICT targets, GLOBAL const int32_t* RESTRICT batches, GLOBAL const int32_t* RESTRICT first, \
    GLOBAL const real* knots, real factor, GLOBAL const real* RESTRICT of_moments, GLOBAL const real* RESTRICT energy, int32_t axis, \
    GLOBAL real* RESTRICT gradients, int32_t row_of_gradients

// D of an edge's receiver, four channels of a row.
FUNCTION real4 of_moment(GLOBAL const real* RESTRICT of_moments, GLOBAL const real* RESTRICT energy, real along, int64_t place) {
  real4 d = LOAD4(of_moments + place);
  if (energy != 0) add_scaled(&d, -along, LOAD4(energy + place));
  return d;
}

// g of a tile.
FUNCTION void gradients_by_messages(real4* g, POINTER_TO_SHARED const real* harmonics, POINTER_TO_SHARED const int* target, POINTER_TO_SHARED const real* along,
                                    real factor, GLOBAL const real* RESTRICT of_moments, GLOBAL const real* RESTRICT energy) {
  const int e = 4 * QUAD;
  const int64_t size = N_LOW * CHANNELS;
  const int64_t d0 = target[e] * size + 4 * PANEL, d1 = target[e + 1] * size + 4 * PANEL, d2 = target[e + 2] * size + 4 * PANEL, d3 = target[e + 3] * size + 4 * PANEL;
  set_all(g, all(R(0.0)));
#pragma unroll 1
  for (int k = 0; k < N_LOW; ++k)
    add_outer(g, SHARED4(harmonics + k * STRIDE + e), of_moment(of_moments, energy, along[e], d0 + k * CHANNELS), of_moment(of_moments, energy, along[e + 1], d1 + k * CHANNELS),
              of_moment(of_moments, energy, along[e + 2], d2 + k * CHANNELS), of_moment(of_moments, energy, along[e + 3], d3 + k * CHANNELS));
#pragma unroll
  for (int c = 0; c < 4; ++c) g[c] = scaled(factor, g[c]);
}

// dE/dY of the lower harmonics, through the moments, from the tile of what was added.
FUNCTION void gradients_by_low_harmonics(POINTER_TO_SHARED real* of_low, POINTER_TO_SHARED const real* added, POINTER_TO_SHARED const real* envelope,
                                         POINTER_TO_SHARED const int* target, POINTER_TO_SHARED const real* along, real factor,
                                         GLOBAL const real* RESTRICT of_moments, GLOBAL const real* RESTRICT energy) {
  const int e = THREAD % EDGES;
#pragma unroll 1
  for (int lm = THREAD / EDGES; lm < N_LOW; lm += EDGE_THREADS) {
    const int64_t d = ((int64_t)target[e] * N_LOW + lm) * CHANNELS;
    real sum = R(0.0);
#pragma unroll 2
    for (int c = 0; c < CHANNELS; c += 4) {
      const real4 of = of_moment(of_moments, energy, along[e], d + c);
      sum += of.x * added[c * STRIDE + e] + of.y * added[(c + 1) * STRIDE + e] + of.z * added[(c + 2) * STRIDE + e] + of.w * added[(c + 3) * STRIDE + e];
    }
    of_low[lm * STRIDE + e] = factor * envelope[e] * sum;
  }
}

FUNCTION real4 over_channels(const real4* a, const real4* b) {
  real4 sum = times(a[0], b[0]);
#pragma unroll
  for (int c = 1; c < 4; ++c) add_times(&sum, a[c], b[c]);
  return sum;
}

// The same with those that a thread has put into a tile, which take no registers until they are needed.
FUNCTION real4 over_own(const real4* a, POINTER_TO_SHARED const real* tile) {
  real4 sum = all(R(0.0));
#pragma unroll
  for (int c = 0; c < 4; ++c) add_times(&sum, a[c], SHARED4(tile + (4 * PANEL + c) * STRIDE + 4 * QUAD));
  return sum;
}

// The share of a thread in dE/d(shown), from the derivatives by a function of the distance.
FUNCTION real4 gradient_by_shown(const real4* of_rows, POINTER_TO_SHARED const int* pair, POINTER_TO_SHARED const real* shown, GLOBAL const real* RESTRICT knots) {
  real4 of_distance[4], rows[4];
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const Place place = place_of_slopes(knots, pair[4 * QUAD + e], shown[4 * QUAD + e]);
    of_distance[e] = at_place(&place, 4 * PANEL);
  }
  set_all(rows, all(R(0.0)));
  add_transposed(rows, of_distance[0], of_distance[1], of_distance[2], of_distance[3]);
  return over_channels(of_rows, rows);
}

KERNEL_WITHIN(THREADS, 128) send_first(SEND_ARGUMENTS, int32_t first_column AND_GROUPS) {
  SHARED real harmonics[N_LOW * STRIDE], of_low[N_LOW * STRIDE];
  SHARED real x[CHANNELS * STRIDE];
  SHARED real of_envelope[PANELS * STRIDE], of_shown[PANELS * STRIDE];
  SHARED real envelope[STRIDE], shown[STRIDE], along[EDGES];
  SHARED int pair[EDGES], target[EDGES];
  EACH_GROUP {
    const int begin = first[batches[group]], end = first[batches[group + 1]];
    for (int tile = begin; tile < end; tile += EDGES) {
      const int edge = tile + THREAD < end ? tile + THREAD : last_edge;
      if (THREAD < EDGES) {
        pair[THREAD] = pairs[edge], target[THREAD] = targets[edge];
        const Seen s = see(vectors + 3 * (int64_t)edge, of_pairs + 2 * pair[THREAD]);
        envelope[THREAD] = s.u, shown[THREAD] = s.shown, along[THREAD] = vectors[3 * (int64_t)edge + axis];
        low_harmonics(s.x, s.y, s.z, harmonics + THREAD);
      }
      SYNCHRONIZE;
      real4 messages[4], g[4];
      first_messages(messages, pair, shown, knots);
      gradients_by_messages(g, harmonics, target, along, factor, of_moments, energy);
      SHARED4(of_envelope + PANEL * STRIDE + 4 * QUAD) = over_channels(g, messages);
      multiply_by_envelope(g, envelope);
      put(x, messages);
      SYNCHRONIZE;
      SHARED4(of_shown + PANEL * STRIDE + 4 * QUAD) = gradient_by_shown(g, pair, shown, knots);
      gradients_by_low_harmonics(of_low, x, envelope, target, along, factor, of_moments, energy);
      SYNCHRONIZE;
      if (tile + THREAD < end && THREAD < EDGES) {
        const Seen s = see(vectors + 3 * (int64_t)edge, of_pairs + 2 * pair[THREAD]);
        real gx, gy, gz;
        low_harmonics_back(s.x, s.y, s.z, of_low + THREAD, &gx, &gy, &gz);
        add_gradient(s, gx, gy, gz, over_panels(of_envelope, THREAD), over_panels(of_shown, THREAD), gradients + (int64_t)edge * row_of_gradients + first_column);
      }
      SYNCHRONIZE;
    }
  }
}

// What an SM has of shared memory is enough for three groups, or for two, which then may have more registers.
#if __CUDA_ARCH__ == 700 || __CUDA_ARCH__ == 750 || __CUDA_ARCH__ >= 1200
  #define REGISTERS_OF_SEND 255
#else
  #define REGISTERS_OF_SEND (N_HIGH > 49 ? 255 : 168)
#endif

KERNEL_WITHIN(THREADS, REGISTERS_OF_SEND) send(SEND_ARGUMENTS, GLOBAL const int32_t* RESTRICT senders, GLOBAL const real* RESTRICT weights, GLOBAL real* polynomials, int32_t first_column AND_GROUPS) {
  SHARED real harmonics[N_HIGH * STRIDE], of_low[N_LOW * STRIDE];
  SHARED real x[CHANNELS * STRIDE], hidden[CHANNELS * STRIDE];
  SHARED real of_envelope[PANELS * STRIDE], of_shown[PANELS * STRIDE];
  SHARED real envelope[STRIDE], shown[STRIDE], along[EDGES];
  SHARED int pair[EDGES], target[EDGES], sender[EDGES];
  EACH_GROUP {
    const int first_atom = batches[group], end_atom = batches[group + 1], begin = first[first_atom], end = first[end_atom];
    real of_polynomial[POLYNOMIAL_OF_THREAD];
    int tile = begin;
    do {
      const int edge = tile + THREAD < end ? tile + THREAD : last_edge;
      if (THREAD < EDGES) {
        pair[THREAD] = pairs[edge], target[THREAD] = targets[edge], sender[THREAD] = edge < last_edge ? senders[edge] : first_atom;
        const Seen s = see(vectors + 3 * (int64_t)edge, of_pairs + 2 * pair[THREAD]);
        envelope[THREAD] = s.u, shown[THREAD] = s.shown, along[THREAD] = vectors[3 * (int64_t)edge + axis];
        high_harmonics(s.x, s.y, s.z, harmonics + THREAD);
      }
      SYNCHRONIZE;
      real4 rows[4], slopes[16], g[4];

      // the block again
      set_all(rows, LOAD4(BIAS(4) + 4 * PANEL));
#pragma unroll 4
      for (int k = 0; k < N_HIGH; ++k) {
        const real4 y = SHARED4(harmonics + k * STRIDE + 4 * QUAD), p = LOAD4(OWN_POLYNOMIAL + k * CHANNELS + 4 * PANEL);
        add_scaled(&rows[0], p.x, y), add_scaled(&rows[1], p.y, y), add_scaled(&rows[2], p.z, y), add_scaled(&rows[3], p.w, y);
      }
      add_block(rows, slopes, x, hidden, pair, shown, weights, knots);

      // from the moments to what was added
      put(x, rows);
      SYNCHRONIZE;
      gradients_by_messages(g, harmonics, target, along, factor, of_moments, energy);
      SHARED4(of_envelope + PANEL * STRIDE + 4 * QUAD) = over_own(g, x);
      gradients_by_low_harmonics(of_low, x, envelope, target, along, factor, of_moments, energy);
      multiply_by_envelope(g, envelope);
      put(hidden, g);
      SYNCHRONIZE;

      // through the networks to what the spin convolution's silu is of
      product(rows, hidden, BACKWARD(3));
      multiply(rows, slopes + 12);
      put(x, rows);
      SYNCHRONIZE;
      product(rows, x, BACKWARD(2));
      multiply(rows, slopes + 8);
      SHARED4(of_shown + PANEL * STRIDE + 4 * QUAD) = gradient_by_shown(rows, pair, shown, knots);
      put(hidden, rows);
      SYNCHRONIZE;
      product(rows, hidden, BACKWARD(1));
      multiply(rows, slopes + 4);
      put(x, rows);
      SYNCHRONIZE;
      product(rows, x, BACKWARD(0));
      multiply(rows, slopes);
      put(hidden, rows);
      SYNCHRONIZE;

      // dE/dY_e[LM] = sum_c s_e[c] P[LM, c]
      real4 of_harmonics[HARMONICS_OF_THREAD];
#pragma unroll
      for (int k = 0; k < HARMONICS_OF_THREAD; ++k) of_harmonics[k] = all(R(0.0));
#pragma unroll 2
      for (int c = 0; c < CHANNELS; c += 4) {
        const real4 s0 = SHARED4(hidden + c * STRIDE + 4 * QUAD), s1 = SHARED4(hidden + (c + 1) * STRIDE + 4 * QUAD),
                    s2 = SHARED4(hidden + (c + 2) * STRIDE + 4 * QUAD), s3 = SHARED4(hidden + (c + 3) * STRIDE + 4 * QUAD);
#pragma unroll
        for (int k = 0; k < HARMONICS_OF_THREAD; ++k) {
          const int lm = PANEL + k * PANELS;
          if (lm >= N_HIGH) continue;
          const real4 p = LOAD4(OWN_POLYNOMIAL + lm * CHANNELS + c);
          add_scaled(&of_harmonics[k], p.x, s0), add_scaled(&of_harmonics[k], p.y, s1), add_scaled(&of_harmonics[k], p.z, s2), add_scaled(&of_harmonics[k], p.w, s3);
        }
      }
      SYNCHRONIZE;   // all have read the polynomials

      // dE/dP[LM, c] = sum_e Y_e[LM] s_e[c], of every atom of the batch
      {
        const int c = THREAD % CHANNELS, r = THREAD / CHANNELS;
        for (int j = first_atom; j < end_atom; ++j) {
          const int from = first[j], to = first[j + 1], stop = to < tile + EDGES ? to - tile : EDGES;
          if (from >= tile)
#pragma unroll
            for (int k = 0; k < POLYNOMIAL_OF_THREAD; ++k) of_polynomial[k] = R(0.0);
          for (int e = from >= tile ? from - tile : 0; e < stop; e += 4) {
            const real4 s = SHARED4(hidden + c * STRIDE + e);
#pragma unroll
            for (int k = 0; k < POLYNOMIAL_OF_THREAD; ++k) {
              const int lm = r + k * ROWS_AT_ONCE;
              if (lm < N_HIGH) of_polynomial[k] += dot4(SHARED4(harmonics + lm * STRIDE + e), s);
            }
          }
          if (to > tile + EDGES) continue;
#pragma unroll
          for (int k = 0; k < POLYNOMIAL_OF_THREAD; ++k) {
            const int lm = r + k * ROWS_AT_ONCE;
            if (lm < N_HIGH) polynomials[((int64_t)j * N_HIGH + lm) * CHANNELS + c] = of_polynomial[k];
          }
        }
      }
      SYNCHRONIZE;   // and the harmonics, whose place their derivatives take
#pragma unroll
      for (int k = 0; k < HARMONICS_OF_THREAD; ++k) {
        const int lm = PANEL + k * PANELS;
        if (lm >= N_HIGH) continue;
        if (lm < N_LOW) of_harmonics[k] = plus(of_harmonics[k], SHARED4(of_low + lm * STRIDE + 4 * QUAD));
        SHARED4(harmonics + lm * STRIDE + 4 * QUAD) = of_harmonics[k];
      }
      SYNCHRONIZE;
      if (tile + THREAD < end && THREAD < EDGES) {
        const Seen s = see(vectors + 3 * (int64_t)edge, of_pairs + 2 * pair[THREAD]);
        real gx, gy, gz;
        high_harmonics_back(s.x, s.y, s.z, harmonics + THREAD, &gx, &gy, &gz);
        add_gradient(s, gx, gy, gz, over_panels(of_envelope, THREAD), over_panels(of_shown, THREAD), gradients + (int64_t)edge * row_of_gradients + first_column);
      }
      SYNCHRONIZE;
      tile += EDGES;
    } while (tile < end);
  }
}
)KERNELS";

}  // namespace spinconv::gpu
