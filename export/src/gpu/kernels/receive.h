// Kernels of the way forward: what atoms receive. A work group has some atoms with all edges into them, computes their messages from the polynomials of
// the atoms that send them, and adds up the moments; no message is written to memory.
//
//   A_i[lm, c] = factor * sum over edges e into i of u_e m_e[c] Y_e[lm]  (+ factor_of_base * base_i[lm, c])
//
// Messages are m_1 = block_0 and m_k+1 = m_k + block_k, so that the moments of m_k+1 are those of m_k, the base, and those of what the block adds.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* receive_page = R"KERNELS(
#define ROWS_AT_ONCE (EDGES / 16)   // threads for each channel, when a thread has one channel of all edges
#define MOMENTS_OF_THREAD ((N_LOW + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE)

#define RECEIVE_ARGUMENTS EDGE_ARGUMENTS, GLOBAL const int32_t* RESTRICT batches, GLOBAL const int32_t* RESTRICT first, GLOBAL const int32_t* RESTRICT received, \
    GLOBAL const real* RESTRICT knots, real factor, GLOBAL const real* RESTRICT base, real factor_of_base, int32_t n_rows, GLOBAL real* RESTRICT moments

// The edge of a place of the tile, by the lists of receivers.
FUNCTION int received_edge(GLOBAL const int32_t* RESTRICT received, int place, int end, int last_edge) { return place < end ? received[place] : last_edge; }

// Adds u m Y of an atom's edges within the tile, from those of `x`, which are u m; thread by channel and row.
FUNCTION void add_moments(real* sums, int n_rows, POINTER_TO_SHARED const real* x, POINTER_TO_SHARED const real* harmonics, int from, int to) {
  const int c = THREAD % CHANNELS, r = THREAD / CHANNELS;
  for (int e = from; e < to; e += 4) {
    const real4 messages = SHARED4(x + c * STRIDE + e);
#pragma unroll
    for (int k = 0; k < MOMENTS_OF_THREAD; ++k) {
      const int lm = r + k * ROWS_AT_ONCE;
      if (lm < n_rows) sums[k] += dot4(SHARED4(harmonics + lm * STRIDE + e), messages);
    }
  }
}

FUNCTION void put_moments(const real* sums, int n_rows, int64_t atom, real factor, GLOBAL const real* RESTRICT base, real factor_of_base, GLOBAL real* RESTRICT moments) {
  const int c = THREAD % CHANNELS, r = THREAD / CHANNELS;
#pragma unroll
  for (int k = 0; k < MOMENTS_OF_THREAD; ++k) {
    const int lm = r + k * ROWS_AT_ONCE;
    if (lm >= n_rows) continue;
    real sum = factor * sums[k];
    if (base != 0) sum += factor_of_base * base[(atom * N_LOW + lm) * CHANNELS + c];
    moments[(atom * n_rows + lm) * CHANNELS + c] = sum;
  }
}

// Of all atoms of the batch. One with more edges than a tile has is alone in it, and its sums go on from tile to tile.
FUNCTION void receive_tile(real* sums, int tile, POINTER_TO_SHARED const real* x, POINTER_TO_SHARED const real* harmonics, int first_atom, int end_atom,
                           GLOBAL const int32_t* RESTRICT first, real factor, GLOBAL const real* RESTRICT base, real factor_of_base, int n_rows, GLOBAL real* RESTRICT moments) {
  for (int i = first_atom; i < end_atom; ++i) {
    const int begin = first[i], end = first[i + 1];
    if (begin >= tile)
#pragma unroll
      for (int k = 0; k < MOMENTS_OF_THREAD; ++k) sums[k] = R(0.0);
    add_moments(sums, n_rows, x, harmonics, begin >= tile ? begin - tile : 0, end < tile + EDGES ? end - tile : EDGES);
    if (end <= tile + EDGES) put_moments(sums, n_rows, i, factor, base, factor_of_base, moments);
  }
}

FUNCTION void multiply_by_envelope(real4* rows, POINTER_TO_SHARED const real* envelope) {
  const real4 u = SHARED4(envelope + 4 * QUAD);
#pragma unroll
  for (int c = 0; c < 4; ++c) rows[c] = times(rows[c], u);
}

// The moments of the initial messages.
KERNEL_WITHIN(THREADS, 128) receive_first(RECEIVE_ARGUMENTS AND_GROUPS) {
  SHARED real harmonics[N_LOW * STRIDE];
  SHARED real x[CHANNELS * STRIDE];
  SHARED real envelope[STRIDE], shown[STRIDE];
  SHARED int pair[EDGES];
  EACH_GROUP {
    const int first_atom = batches[group], end_atom = batches[group + 1], begin = first[first_atom], end = first[end_atom];
    real sums[MOMENTS_OF_THREAD];
    int tile = begin;
    do {
      if (THREAD < EDGES) {
        const int e = received_edge(received, tile + THREAD, end, last_edge);
        pair[THREAD] = pairs[e];
        const Seen s = see(vectors + 3 * (int64_t)e, of_pairs + 2 * pair[THREAD]);
        envelope[THREAD] = s.u, shown[THREAD] = s.shown;
        low_harmonics(s.x, s.y, s.z, harmonics + THREAD);
      }
      SYNCHRONIZE;
      real4 rows[4];
      first_messages(rows, pair, shown, knots);
      multiply_by_envelope(rows, envelope);
      put(x, rows);
      SYNCHRONIZE;
      receive_tile(sums, tile, x, harmonics, first_atom, end_atom, first, factor, base, factor_of_base, n_rows, moments);
      SYNCHRONIZE;
      tile += EDGES;
    } while (tile < end);
  }
}

// Those of what a block adds.
KERNEL_WITHIN(THREADS, 168) receive(RECEIVE_ARGUMENTS, GLOBAL const int32_t* RESTRICT senders, GLOBAL const real* RESTRICT weights, GLOBAL const real* RESTRICT polynomials AND_GROUPS) {
  SHARED real harmonics[N_HIGH * STRIDE];
  SHARED real x[CHANNELS * STRIDE], hidden[CHANNELS * STRIDE];
  SHARED real envelope[STRIDE], shown[STRIDE];
  SHARED int pair[EDGES], sender[EDGES];
  EACH_GROUP {
    const int first_atom = batches[group], end_atom = batches[group + 1], begin = first[first_atom], end = first[end_atom];
    real sums[MOMENTS_OF_THREAD];
    int tile = begin;
    do {
      if (THREAD < EDGES) {
        const int e = received_edge(received, tile + THREAD, end, last_edge);
        pair[THREAD] = pairs[e], sender[THREAD] = senders[e];
        const Seen s = see(vectors + 3 * (int64_t)e, of_pairs + 2 * pair[THREAD]);
        envelope[THREAD] = s.u, shown[THREAD] = s.shown;
        high_harmonics(s.x, s.y, s.z, harmonics + THREAD);
      }
      SYNCHRONIZE;
      real4 rows[4], slopes[16];
      set_all(rows, LOAD4(BIAS(4) + 4 * PANEL));
      {
        GLOBAL const real* p0 = polynomials + (int64_t)sender[4 * QUAD] * (N_HIGH * CHANNELS) + 4 * PANEL;
        GLOBAL const real* p1 = polynomials + (int64_t)sender[4 * QUAD + 1] * (N_HIGH * CHANNELS) + 4 * PANEL;
        GLOBAL const real* p2 = polynomials + (int64_t)sender[4 * QUAD + 2] * (N_HIGH * CHANNELS) + 4 * PANEL;
        GLOBAL const real* p3 = polynomials + (int64_t)sender[4 * QUAD + 3] * (N_HIGH * CHANNELS) + 4 * PANEL;
#pragma unroll 2
        for (int k = 0; k < N_HIGH; ++k)
          add_outer(rows, SHARED4(harmonics + k * STRIDE + 4 * QUAD), LOAD4(p0 + k * CHANNELS), LOAD4(p1 + k * CHANNELS), LOAD4(p2 + k * CHANNELS), LOAD4(p3 + k * CHANNELS));
      }
      add_block(rows, slopes, x, hidden, pair, shown, weights, knots);
      multiply_by_envelope(rows, envelope);
      put(x, rows);
      SYNCHRONIZE;
      receive_tile(sums, tile, x, harmonics, first_atom, end_atom, first, factor, base, factor_of_base, n_rows, moments);
      SYNCHRONIZE;
      tile += EDGES;
    } while (tile < end);
  }
}
)KERNELS";

}  // namespace spinconv::gpu
