// SPDX-License-Identifier: MIT
#include "sha256.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace spinconv {
namespace {

constexpr size_t block_size = 64;
constexpr int n_rounds = 64;

/// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2).
constexpr std::array<uint32_t, n_rounds> constants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using Words = std::array<uint32_t, 8>;

constexpr uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

uint32_t big_endian(const unsigned char* bytes) {
  return static_cast<uint32_t>(bytes[0]) << 24 | static_cast<uint32_t>(bytes[1]) << 16 | static_cast<uint32_t>(bytes[2]) << 8 | bytes[3];
}

/// One round (6.2.2), which changes d and h; the caller renames the eight words instead of moving them.
inline void round(uint32_t a, uint32_t b, uint32_t c, uint32_t& d, uint32_t e, uint32_t f, uint32_t g, uint32_t& h, uint32_t constant_and_word) {
  const uint32_t t1 = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + (g ^ (e & (f ^ g))) + constant_and_word;
  const uint32_t t2 = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) | (c & (a | b)));
  d += t1;
  h = t1 + t2;
}

void add_block(Words& hash, const unsigned char* block) {
  uint32_t w[n_rounds];
  for (int t = 0; t < 16; ++t) w[t] = big_endian(block + 4 * t);
  for (int t = 16; t < n_rounds; ++t) {
    const uint32_t s0 = rotated(w[t - 15], 7) ^ rotated(w[t - 15], 18) ^ w[t - 15] >> 3;
    const uint32_t s1 = rotated(w[t - 2], 17) ^ rotated(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + s0 + w[t - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = hash;
  for (int t = 0; t < n_rounds; t += 8) {
    round(a, b, c, d, e, f, g, h, constants[t] + w[t]);
    round(h, a, b, c, d, e, f, g, constants[t + 1] + w[t + 1]);
    round(g, h, a, b, c, d, e, f, constants[t + 2] + w[t + 2]);
    round(f, g, h, a, b, c, d, e, constants[t + 3] + w[t + 3]);
    round(e, f, g, h, a, b, c, d, constants[t + 4] + w[t + 4]);
    round(d, e, f, g, h, a, b, c, constants[t + 5] + w[t + 5]);
    round(c, d, e, f, g, h, a, b, constants[t + 6] + w[t + 6]);
    round(b, c, d, e, f, g, h, a, constants[t + 7] + w[t + 7]);
  }
  const Words change = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < hash.size(); ++i) hash[i] += change[i];
}

std::string in_digits(const Words& hash) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const uint32_t word : hash) {
    for (int shift = 28; shift >= 0; shift -= 4) text += digits[word >> shift & 15];
  }
  return text;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  Words hash = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t done = 0;
  for (; bytes.size() - done >= block_size; done += block_size) add_block(hash, data + done);

  // What is left, a bit, zeros, and the number of bits in the last eight bytes: one block or two (5.1.1).
  unsigned char end[2 * block_size] = {};
  const size_t left = bytes.size() - done;
  if (left > 0) std::memcpy(end, data + done, left);
  end[left] = 0x80;
  const size_t end_size = left + 9 > block_size ? 2 * block_size : block_size;
  const uint64_t n_bits = 8 * static_cast<uint64_t>(bytes.size());
  for (int i = 0; i < 8; ++i) end[end_size - 1 - i] = static_cast<unsigned char>(n_bits >> 8 * i);
  for (size_t i = 0; i < end_size; i += block_size) add_block(hash, end + i);
  return in_digits(hash);
}

}  // namespace spinconv
