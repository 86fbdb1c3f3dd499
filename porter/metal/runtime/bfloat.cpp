// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What LLVM calls `__truncsfbf2` where a bfloat goes from one basic block to another (`execution.py` says why).
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>

// A bfloat is returned in the low 16 bits of xmm0 (System V psABI for x86-64, __bf16).
using bfloat_register = __m128i;
static bfloat_register in_register(uint32_t bits) { return _mm_cvtsi32_si128(static_cast<int>(bits)); }
#else
// AAPCS64 and others return it in a floating-point register, of which a float is the low half.
using bfloat_register = float;
static bfloat_register in_register(uint32_t bits) {
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}
#endif

// `value` rounded to nearest, ties to even. Denormal numbers and the 16 upper bits of a NaN stay as they are: a bfloat
// widened to float and brought back is itself, bit for bit.
extern "C" bfloat_register msl_float_to_bfloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  if (is_nan) {
    const uint32_t quiet = (bits & 0x7f0000u) == 0 ? 0x400000u : 0;  // else its upper half would be an infinity
    return in_register((bits | quiet) >> 16);
  }
  return in_register((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}
