// Kernels by atom and channel: from the moments of an atom to its ring responses, from them to its polynomial, and back (ring_responses.h and coupling.h
// of the native evaluator have the formulas). A thread has a channel of an atom; `responses` has the atoms from first_atom on, [2 rows: own, partner][CHANNELS]
// each. What runs over the constants of the coupling is written out for the model (harmonic_text.cpp): straight lines, whose numbers stay in registers.
// SPDX-License-Identifier: MIT
#pragma once

namespace spinconv::gpu {

constexpr const char* coupling_page = R"KERNELS(
#define ATOM_THREADS 128
#define OWN_ATOM ((group * ATOM_THREADS + THREAD) / CHANNELS)
#define OWN_CHANNEL ((group * ATOM_THREADS + THREAD) % CHANNELS)

// Rows from `at` on, of the components of degree l, by a kernel; `first_channel` is the first of the channel's group.
FUNCTION void responses_of(const int l, const int slot, const int at, GLOBAL const real* RESTRICT moments, GLOBAL const real* RESTRICT kernels, int c, int first_channel,
                           GLOBAL real* RESTRICT responses) {
  real own[2 * LMAX + 1], partner[2 * LMAX + 1];
#pragma unroll
  for (int n = 0; n < 2 * l + 1; ++n) own[n] = R(0.0), partner[n] = R(0.0);
  GLOBAL const real* w = kernels + (int64_t)slot * GROUP_CHANNELS * 2 * CHANNELS + c;
  for (int g = 0; g < GROUP_CHANNELS; ++g) {
    const real w_own = w[2 * g * CHANNELS], w_partner = w[(2 * g + 1) * CHANNELS];
#pragma unroll
    for (int n = 0; n < 2 * l + 1; ++n) {
      const real a = moments[(l * l + n) * CHANNELS + first_channel + g];
      own[n] += w_own * a, partner[n] += w_partner * a;
    }
  }
#pragma unroll
  for (int n = 0; n < 2 * l + 1; ++n) responses[2 * (at + n) * CHANNELS + c] = own[n], responses[(2 * (at + n) + 1) * CHANNELS + c] = partner[n];
}

// What a kernel gives back to the components of degree l, of the channel c in the group.
FUNCTION void of_moments_by(const int l, const int slot, const int at, GLOBAL const real* RESTRICT of_responses, GLOBAL const real* RESTRICT kernels, int c, int first_channel,
                            real* of_moments) {
  GLOBAL const real* w = kernels + ((int64_t)slot * GROUP_CHANNELS + (c - first_channel)) * 2 * CHANNELS + first_channel;
  for (int g = 0; g < GROUP_CHANNELS; ++g) {
    const real w_own = w[g], w_partner = w[CHANNELS + g];
#pragma unroll
    for (int n = 0; n < 2 * l + 1; ++n)
      of_moments[n] += w_own * of_responses[2 * (at + n) * CHANNELS + first_channel + g] + w_partner * of_responses[(2 * (at + n) + 1) * CHANNELS + first_channel + g];
  }
}

KERNEL(ATOM_THREADS) ring_responses(int32_t first_atom, int32_t n_atoms, GLOBAL const real* RESTRICT all_moments, GLOBAL const real* RESTRICT weights,
                                    GLOBAL real* RESTRICT all_responses AND_GROUPS) {
  EACH_GROUP {
    if (OWN_ATOM >= n_atoms) continue;
    const int c = OWN_CHANNEL, first_channel = c / GROUP_CHANNELS * GROUP_CHANNELS;
    GLOBAL const real* moments = all_moments + (int64_t)(first_atom + OWN_ATOM) * N_LOW * CHANNELS;
    GLOBAL real* responses = all_responses + (int64_t)OWN_ATOM * 2 * N_ROWS * CHANNELS;
    if (c >= USED) {
      for (int r = 0; r < 2 * N_ROWS; ++r) responses[r * CHANNELS + c] = R(0.0);
      continue;
    }
    ALL_RESPONSES(moments, RING_KERNELS, c, first_channel, responses)
  }
}

// Adds to dE/dA, or sets it.
KERNEL(ATOM_THREADS) ring_responses_back(int32_t first_atom, int32_t n_atoms, GLOBAL const real* RESTRICT all_of_responses, GLOBAL const real* RESTRICT weights, int32_t adds,
                                         GLOBAL real* RESTRICT all_of_moments AND_GROUPS) {
  EACH_GROUP {
    if (OWN_ATOM >= n_atoms) continue;
    const int c = OWN_CHANNEL, first_channel = c / GROUP_CHANNELS * GROUP_CHANNELS;
    GLOBAL const real* of_responses = all_of_responses + (int64_t)OWN_ATOM * 2 * N_ROWS * CHANNELS;
    GLOBAL real* of_moments = all_of_moments + (int64_t)(first_atom + OWN_ATOM) * N_LOW * CHANNELS + c;
    real sums[N_LOW];
#pragma unroll
    for (int n = 0; n < N_LOW; ++n) sums[n] = R(0.0);
    if (c < USED) {
      ALL_OF_MOMENTS(of_responses, RING_KERNELS, c, first_channel, sums)
    }
#pragma unroll
    for (int n = 0; n < N_LOW; ++n) of_moments[n * CHANNELS] = adds ? of_moments[n * CHANNELS] + sums[n] : sums[n];
  }
}

KERNEL(ATOM_THREADS) couple(int32_t first_atom, int32_t n_atoms, GLOBAL const real* RESTRICT all_responses, GLOBAL real* RESTRICT all_polynomials AND_GROUPS) {
  EACH_GROUP {
    if (OWN_ATOM >= n_atoms) continue;
    polynomial_of(all_responses + (int64_t)OWN_ATOM * 2 * N_ROWS * CHANNELS + OWN_CHANNEL,
                  all_polynomials + (int64_t)(first_atom + OWN_ATOM) * N_HIGH * CHANNELS + OWN_CHANNEL);
  }
}

// Replaces the responses by the derivatives with respect to them.
KERNEL(ATOM_THREADS) couple_back(int32_t first_atom, int32_t n_atoms, GLOBAL const real* RESTRICT all_of_polynomials, GLOBAL real* RESTRICT all_responses AND_GROUPS) {
  EACH_GROUP {
    if (OWN_ATOM >= n_atoms) continue;
    polynomial_back(all_of_polynomials + (int64_t)(first_atom + OWN_ATOM) * N_HIGH * CHANNELS + OWN_CHANNEL,
                    all_responses + (int64_t)OWN_ATOM * 2 * N_ROWS * CHANNELS + OWN_CHANNEL);
  }
}
)KERNELS";

}  // namespace spinconv::gpu
