// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Of the tensor operations of Metal 4, matmul2d by one simdgroup on operands that the lanes hold, as MLX's NAX kernels
// use it (MLX v0.30.1 to v0.32.1, steel/gemm/nax.h). Anything else is not declared. Outside MSL_MODE_RUN products are
// declared only.
#pragma once

#include <metal_stdlib>

namespace mpp {
namespace tensor_ops {

struct matmul2d_descriptor {
  enum class mode { multiply, multiply_accumulate };
  int m, n, k;
  bool transpose_left, transpose_right, relaxed_precision;
  mode matmul_mode;
  constexpr matmul2d_descriptor(int m, int n, int k, bool transpose_left = false, bool transpose_right = false,
                                bool relaxed_precision = false, mode matmul_mode = mode::multiply)
      : m(m),
        n(n),
        k(k),
        transpose_left(transpose_left),
        transpose_right(transpose_right),
        relaxed_precision(relaxed_precision),
        matmul_mode(matmul_mode) {}
};

template <class T, int N>
struct cooperative_tensor {
  using element_type = T;
#ifdef MSL_MODE_RUN
  // One more: an index behind the last element is undefined in Metal, and touches nothing else here.
  T elements[N + 1];
  METAL_FUNC T& operator[](int i) { return elements[uint(i) < uint(N) ? i : N]; }
#else
  T elements[N];
  T& operator[](int i) { return elements[i]; }
#endif
  constexpr int get_capacity() const { return N; }
};

#ifdef MSL_MODE_RUN
#include <MetalPerformancePrimitives/msl_matmul_run>
#endif

template <matmul2d_descriptor D, class Scope>
struct matmul2d {
#ifdef MSL_MODE_RUN
  static_assert(metal::is_same_v<Scope, metal::execution_simdgroup>,
                "matmul2d runs by one simdgroup here: its scope must be metal::execution_simdgroup");
  static_assert(D.m > 0 && D.n > 0 && D.k > 0 && D.m % 16 == 0 && D.n % 16 == 0 && D.k % 16 == 0,
                "matmul2d of one simdgroup takes sizes that are multiples of 16");
#endif
  template <class A, class B, class C>
  cooperative_tensor<A, D.m * D.k / 32> get_left_input_cooperative_tensor() {
    return {};
  }
  template <class A, class B, class C>
  cooperative_tensor<B, D.n * D.k / 32> get_right_input_cooperative_tensor() {
    return {};
  }
  template <class A, class B, class C>
  cooperative_tensor<C, D.m * D.n / 32> get_destination_cooperative_tensor() {
    return {};
  }
  template <class A, class B, class C>
#ifdef MSL_MODE_RUN
  METAL_FUNC void run(A& a, B& b, C& c) {
    msl_matmul<D>(a, b, c);
  }
#else
  void run(A& a, B& b, C& c);
#endif
};

}  // namespace tensor_ops
}  // namespace mpp
