// Kernels' first page: an edge as the model sees it, functions of its distance, and the layers of the networks for a tile of edges.
//
// A work group has a tile of EDGES edges with CHANNELS numbers each, in shared memory by channel, [CHANNELS][STRIDE]. A thread has four edges of
// four channels: those from 4 * QUAD and 4 * PANEL on. So every layer is an outer product of what two loads bring, sixteen sums that stay in registers.
// The edges of an atom begin at a multiple of four (padded_edges.h): four edges of a thread have the same atom at their ordered end.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* edges_page = R"KERNELS(
#ifdef WIDE_IS_DOUBLE
  #ifdef __OPENCL_VERSION__
    #pragma OPENCL EXTENSION cl_khr_fp64 : enable
  #endif
typedef double wide;
#else
typedef float wide;
#endif

#define STRIDE (EDGES + 4)
#define QUADS (EDGES / 4)
#define PANELS (CHANNELS / 4)
#define THREADS (QUADS * PANELS)
#define QUAD (THREAD % QUADS)
#define PANEL (THREAD / QUADS)
#define LOAD4(from) (*(GLOBAL const real4*)(from))
#define SHARED4(from) (*(POINTER_TO_SHARED real4*)(from))

// What is known of the edges, in the order of their senders; the last one is longer than the cutoff, and stands where a tile has none.
#define EDGE_ARGUMENTS GLOBAL const real* RESTRICT vectors, GLOBAL const int32_t* RESTRICT pairs, GLOBAL const real* RESTRICT of_pairs, int32_t last_edge

FUNCTION real4 row(real x, real y, real z, real w) {
  real4 made;
  made.x = x, made.y = y, made.z = z, made.w = w;
  return made;
}
FUNCTION real4 all(real x) { return row(x, x, x, x); }
FUNCTION real4 times(real4 a, real4 b) { return row(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }
FUNCTION real4 scaled(real a, real4 b) { return row(a * b.x, a * b.y, a * b.z, a * b.w); }
FUNCTION real4 plus(real4 a, real4 b) { return row(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
FUNCTION real dot4(real4 a, real4 b) { return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w; }
FUNCTION void add_scaled(real4* sum, real a, real4 b) { sum->x += a * b.x, sum->y += a * b.y, sum->z += a * b.z, sum->w += a * b.w; }
FUNCTION void add_times(real4* sum, real4 a, real4 b) { sum->x += a.x * b.x, sum->y += a.y * b.y, sum->z += a.z * b.z, sum->w += a.w * b.w; }

// ---- an edge

// d = |r|, n = r / d, u(d) = 1 - 28 x^6 + 48 x^7 - 21 x^8 with x = d / cutoff (1 beyond), and the distance that the network is shown
// (potential/harmonic/equations.py, held); where d = 0, n and the gradient are zero.
typedef struct {
  real x, y, z;           // n
  real distance, inverse;
  real u, of_u;           // and its derivative by d
  real shown, of_shown;
} Seen;

FUNCTION Seen see(GLOBAL const real* RESTRICT vector, GLOBAL const real* RESTRICT of_pair) {
  Seen s;
  const real x = vector[0], y = vector[1], z = vector[2], inner = of_pair[0], per_cutoff = of_pair[1];
  const real d = sqrt(x * x + y * y + z * z);
  s.distance = d;
  s.inverse = d == R(0.0) ? R(0.0) : R(1.0) / d;
  s.x = x * s.inverse, s.y = y * s.inverse, s.z = z * s.inverse;
  real part = d * per_cutoff;
  part = part > R(1.0) ? R(1.0) : part;
  const real squared = part * part, fifth = squared * squared * part;
  s.u = R(1.0) + fifth * part * (R(-28.0) + part * (R(48.0) - R(21.0) * part));
  s.of_u = R(-168.0) * per_cutoff * fifth * (R(1.0) - part) * (R(1.0) - part);
  s.shown = d, s.of_shown = R(1.0);
  if (d < inner) {
    const real t = d > R(0.7) * inner ? (d / inner - R(0.7)) / R(0.3) : R(0.0);
    s.shown = inner * (R(0.85) + R(0.3) * t * t * t * (R(1.0) - R(0.5) * t));
    s.of_shown = t * t * (R(3.0) - R(2.0) * t);
  }
  return s;
}

// From dE/dY in the gradient by n, g, and dE/du and dE/d(shown): (g - n (n . g)) / d + n (dE/du u' + dE/dshown shown').
FUNCTION void add_gradient(Seen s, real x, real y, real z, real of_u, real of_shown, GLOBAL real* RESTRICT to) {
  const real along = s.x * x + s.y * y + s.z * z, slope = of_shown * s.of_shown + of_u * s.of_u;
  to[0] += (x - s.x * along) * s.inverse + s.x * slope;
  to[1] += (y - s.y * along) * s.inverse + s.y * slope;
  to[2] += (z - s.z * along) * s.inverse + s.z * slope;
}

// ---- functions of the distance that the network is shown: quintic Hermite splines, with knots [pair][INTERVALS + 1][value, slope, curvature][CHANNELS]

typedef struct {
  GLOBAL const real* knots;
  real weights[6];
} Place;

FUNCTION GLOBAL const real* interval(GLOBAL const real* RESTRICT knots, int pair, real shown, real* part) {
  real x = shown * PER_LENGTH;
  x = x < (real)INTERVALS ? x : (real)INTERVALS;
  int n = (int)x;
  n = n < INTERVALS ? n : INTERVALS - 1;
  *part = x - (real)n;
  return knots + ((int64_t)pair * (INTERVALS + 1) + n) * 3 * CHANNELS;
}

FUNCTION Place place_of_values(GLOBAL const real* RESTRICT knots, int pair, real shown) {
  real t;
  Place p;
  p.knots = interval(knots, pair, shown, &t);
  const real s = R(1.0) - t, t3 = t * t * t, s3 = s * s * s;
  p.weights[0] = s3 * (R(1.0) + R(3.0) * t + R(6.0) * t * t), p.weights[1] = s3 * t * (R(1.0) + R(3.0) * t), p.weights[2] = R(0.5) * s3 * t * t;
  p.weights[3] = t3 * (R(1.0) + R(3.0) * s + R(6.0) * s * s), p.weights[4] = -t3 * s * (R(1.0) + R(3.0) * s), p.weights[5] = R(0.5) * t3 * s * s;
  return p;
}

// Of the derivative.
FUNCTION Place place_of_slopes(GLOBAL const real* RESTRICT knots, int pair, real shown) {
  real t;
  Place p;
  p.knots = interval(knots, pair, shown, &t);
  const real s = R(1.0) - t, h = PER_LENGTH, both = t * t * s * s;
  p.weights[0] = R(-30.0) * both * h, p.weights[1] = s * s * (R(1.0) + R(2.0) * t - R(15.0) * t * t) * h, p.weights[2] = R(0.5) * s * s * t * (R(2.0) - R(5.0) * t) * h;
  p.weights[3] = R(30.0) * both * h, p.weights[4] = t * t * (R(1.0) + R(2.0) * s - R(15.0) * s * s) * h, p.weights[5] = R(-0.5) * t * t * s * (R(2.0) - R(5.0) * s) * h;
  return p;
}

// Of the channels from c on.
FUNCTION real4 at_place(const Place* p, int c) {
  real4 sum = scaled(p->weights[0], LOAD4(p->knots + c));
#pragma unroll
  for (int n = 1; n < 6; ++n) add_scaled(&sum, p->weights[n], LOAD4(p->knots + n * CHANNELS + c));
  return sum;
}

// ---- sixteen numbers of a thread: four rows, one a channel, of four edges

FUNCTION void add_transposed(real4* rows, real4 edge0, real4 edge1, real4 edge2, real4 edge3) {
  rows[0] = plus(rows[0], row(edge0.x, edge1.x, edge2.x, edge3.x));
  rows[1] = plus(rows[1], row(edge0.y, edge1.y, edge2.y, edge3.y));
  rows[2] = plus(rows[2], row(edge0.z, edge1.z, edge2.z, edge3.z));
  rows[3] = plus(rows[3], row(edge0.w, edge1.w, edge2.w, edge3.w));
}

FUNCTION void multiply_transposed(real4* rows, real4 edge0, real4 edge1, real4 edge2, real4 edge3) {
  rows[0] = times(rows[0], row(edge0.x, edge1.x, edge2.x, edge3.x));
  rows[1] = times(rows[1], row(edge0.y, edge1.y, edge2.y, edge3.y));
  rows[2] = times(rows[2], row(edge0.z, edge1.z, edge2.z, edge3.z));
  rows[3] = times(rows[3], row(edge0.w, edge1.w, edge2.w, edge3.w));
}

// rows[c] of each edge += y of that edge times its own four numbers.
FUNCTION void add_outer(real4* rows, real4 y, real4 edge0, real4 edge1, real4 edge2, real4 edge3) {
  add_times(&rows[0], y, row(edge0.x, edge1.x, edge2.x, edge3.x));
  add_times(&rows[1], y, row(edge0.y, edge1.y, edge2.y, edge3.y));
  add_times(&rows[2], y, row(edge0.z, edge1.z, edge2.z, edge3.z));
  add_times(&rows[3], y, row(edge0.w, edge1.w, edge2.w, edge3.w));
}

FUNCTION void set_all(real4* rows, real4 channels) {
  rows[0] = all(channels.x), rows[1] = all(channels.y), rows[2] = all(channels.z), rows[3] = all(channels.w);
}

FUNCTION void multiply(real4* rows, const real4* by) {
#pragma unroll
  for (int c = 0; c < 4; ++c) rows[c] = times(rows[c], by[c]);
}

FUNCTION void put(POINTER_TO_SHARED real* tile, const real4* rows) {
#pragma unroll
  for (int c = 0; c < 4; ++c) SHARED4(tile + (4 * PANEL + c) * STRIDE + 4 * QUAD) = rows[c];
}

// silu of each, and its derivatives.
FUNCTION real silu_of(real x, real* slope) {
  const real share = R(1.0) / (R(1.0) + exp(-x));
  *slope = share * (R(1.0) + x * (R(1.0) - share));
  return x * share;
}

FUNCTION real4 silu_of_row(real4 x, real4* slopes) {
  real4 values;
  real sx, sy, sz, sw;   // an element of a vector has no address in OpenCL
  values.x = silu_of(x.x, &sx), values.y = silu_of(x.y, &sy), values.z = silu_of(x.z, &sz), values.w = silu_of(x.w, &sw);
  *slopes = row(sx, sy, sz, sw);
  return values;
}

FUNCTION void silu(real4* rows, real4* slopes) {
#pragma unroll
  for (int c = 0; c < 4; ++c) rows[c] = silu_of_row(rows[c], &slopes[c]);
}

// rows += x W, of a tile x and W [CHANNELS][CHANNELS].
FUNCTION void add_product(real4* rows, POINTER_TO_SHARED const real* x, GLOBAL const real* RESTRICT matrix) {
  POINTER_TO_SHARED const real* from = x + 4 * QUAD;
  GLOBAL const real* w = matrix + 4 * PANEL;
#pragma unroll 4
  for (int k = 0; k < CHANNELS; ++k) {
    const real4 numbers = SHARED4(from + k * STRIDE), weights = LOAD4(w + k * CHANNELS);
    add_scaled(&rows[0], weights.x, numbers);
    add_scaled(&rows[1], weights.y, numbers);
    add_scaled(&rows[2], weights.z, numbers);
    add_scaled(&rows[3], weights.w, numbers);
  }
}

FUNCTION void product(real4* rows, POINTER_TO_SHARED const real* x, GLOBAL const real* RESTRICT matrix) {
  set_all(rows, all(R(0.0)));
  add_product(rows, x, matrix);
}

// The numbers that each thread has a share of, one edge each: sum[4 * QUAD ...] over all panels; `parts` is [PANELS][STRIDE].
FUNCTION real over_panels(POINTER_TO_SHARED const real* parts, int edge) {
  real sum = R(0.0);
  for (int p = 0; p < PANELS; ++p) sum += parts[p * STRIDE + edge];
  return sum;
}

// ---- the weights of a block, one after another

#define MATRIX (CHANNELS * CHANNELS)
#define FORWARD(layer) (weights + (layer) * MATRIX)            // of_neighborhood's two, to_message's two: [in][out]
#define BACKWARD(layer) (weights + (4 + (layer)) * MATRIX)     // [out][in]
#define BIAS(layer) (weights + 8 * MATRIX + (layer) * CHANNELS)   // of the four layers, then of the spin convolution
#define FACTORS(network) (weights + 8 * MATRIX + 5 * CHANNELS + (network) * PAIRS * CHANNELS)
#define RING_KERNELS (weights + 8 * MATRIX + 5 * CHANNELS + 2 * PAIRS * CHANNELS)   // [kernel][input in the group][own, partner][CHANNELS]

// silu(rows) * g[pair], and the derivatives.
FUNCTION void hidden_values(real4* rows, real4* slopes, GLOBAL const real* RESTRICT factors, POINTER_TO_SHARED const int* pair) {
  GLOBAL const real* g = factors + 4 * PANEL;
  const real4 g0 = LOAD4(g + pair[4 * QUAD] * CHANNELS), g1 = LOAD4(g + pair[4 * QUAD + 1] * CHANNELS), g2 = LOAD4(g + pair[4 * QUAD + 2] * CHANNELS),
              g3 = LOAD4(g + pair[4 * QUAD + 3] * CHANNELS);
  silu(rows, slopes);
  multiply_transposed(rows, g0, g1, g2, g3);
  multiply_transposed(slopes, g0, g1, g2, g3);
}

// What a block adds to the messages, from what its spin convolution's silu is of (`rows`, replaced), and the derivatives that its way back needs: of
// that silu, within of_neighborhood, of the sum with the distance's network, and within to_message, four rows each.
//
//   h = silu(rows),  p = E_of_neighborhood(h) + q(d),  added = E_to_message(silu(p))
FUNCTION void add_block(real4* rows, real4* slopes, POINTER_TO_SHARED real* x, POINTER_TO_SHARED real* hidden, POINTER_TO_SHARED const int* pair,
                        POINTER_TO_SHARED const real* shown, GLOBAL const real* RESTRICT weights, GLOBAL const real* RESTRICT knots) {
  silu(rows, slopes);
  put(x, rows);
  SYNCHRONIZE;
  set_all(rows, LOAD4(BIAS(0) + 4 * PANEL));
  add_product(rows, x, FORWARD(0));
  hidden_values(rows, slopes + 4, FACTORS(0), pair);
  put(hidden, rows);
  SYNCHRONIZE;
  set_all(rows, LOAD4(BIAS(1) + 4 * PANEL));
  add_product(rows, hidden, FORWARD(1));
  real4 of_distance[4];
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const Place place = place_of_values(knots, pair[4 * QUAD + e], shown[4 * QUAD + e]);
    of_distance[e] = at_place(&place, 4 * PANEL);
  }
  add_transposed(rows, of_distance[0], of_distance[1], of_distance[2], of_distance[3]);
  silu(rows, slopes + 8);
  put(x, rows);
  SYNCHRONIZE;
  set_all(rows, LOAD4(BIAS(2) + 4 * PANEL));
  add_product(rows, x, FORWARD(2));
  hidden_values(rows, slopes + 12, FACTORS(1), pair);
  put(hidden, rows);
  SYNCHRONIZE;
  set_all(rows, LOAD4(BIAS(3) + 4 * PANEL));
  add_product(rows, hidden, FORWARD(3));
}

// The initial messages of a tile.
FUNCTION void first_messages(real4* rows, POINTER_TO_SHARED const int* pair, POINTER_TO_SHARED const real* shown, GLOBAL const real* RESTRICT knots) {
  real4 of_distance[4];
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const Place place = place_of_values(knots, pair[4 * QUAD + e], shown[4 * QUAD + e]);
    of_distance[e] = at_place(&place, 4 * PANEL);
  }
  set_all(rows, all(R(0.0)));
  add_transposed(rows, of_distance[0], of_distance[1], of_distance[2], of_distance[3]);
}
)KERNELS";

}  // namespace spinconv::gpu
