// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Products of 8 x 8 matrices: one vector instruction for a row of eight where the machine has it.

#include "matrix.h"

#include <immintrin.h>

#include <cmath>
#include <cstdint>

namespace msl {
namespace {

void run_portable(const msl_matrix_batch& batch, float* slots) {
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const msl_matrix_product& product = batch.products[i];
    const float* a = slots + product.a * kMatrixFloats;
    const float* b = slots + product.b * kMatrixFloats;
    const float* c = slots + product.c * kMatrixFloats;
    float* d = slots + product.d * kMatrixFloats;
    for (int row = 0; row < 8; ++row) {
      for (int column = 0; column < 8; ++column) {
        float sum = c[row * 8 + column];
        for (int k = 0; k < 8; ++k) {
          sum = std::fma(a[row * 8 + k], b[k * 8 + column], sum);
        }
        d[row * 8 + column] = sum;
      }
    }
  }
}

__attribute__((target("avx2,fma"))) void run_avx2(const msl_matrix_batch& batch, float* slots) {
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const msl_matrix_product& product = batch.products[i];
    const float* a = slots + product.a * kMatrixFloats;
    const float* b = slots + product.b * kMatrixFloats;
    const float* c = slots + product.c * kMatrixFloats;
    float* d = slots + product.d * kMatrixFloats;
    __m256 sums[8];
#pragma GCC unroll 8
    for (int row = 0; row < 8; ++row) {
      sums[row] = _mm256_load_ps(c + 8 * row);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      const __m256 b_row = _mm256_load_ps(b + 8 * k);
#pragma GCC unroll 8
      for (int row = 0; row < 8; ++row) {
        sums[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + 8 * row + k), b_row, sums[row]);
      }
    }
#pragma GCC unroll 8
    for (int row = 0; row < 8; ++row) {
      _mm256_store_ps(d + 8 * row, sums[row]);
    }
  }
}

using Runner = void (*)(const msl_matrix_batch&, float*);

Runner choose() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? run_avx2 : run_portable;
}

}  // namespace

void run_products(const msl_matrix_batch& batch, float* slots) {
  static const Runner runner = choose();
  runner(batch, slots);
}

}  // namespace msl
