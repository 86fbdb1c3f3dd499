// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Products of 8 x 8 matrices.
#pragma once

#include "kernel_operations.h"

namespace msl {

constexpr int kMatrixFloats = 64;

// Where lane `lane` holds its two elements: row-major index of the first. With q = lane / 4, the row is
// (q & 4) + (lane / 2) % 4 and the column (q & 2) * 2 + (lane % 2) * 2 (see metal_simdgroup_matrix).
constexpr int matrix_element(int lane) {
  const int q = lane / 4;
  const int row = (q & 4) + (lane / 2) % 4;
  const int column = (q & 2) * 2 + (lane % 2) * 2;
  return row * 8 + column;
}

// Runs the products of `batch` on `slots`, with the fastest instructions this machine has. The result does not depend
// on which: every product is a fused multiply-add, in the same order.
void run_products(const msl_matrix_batch& batch, float* slots);

}  // namespace msl
