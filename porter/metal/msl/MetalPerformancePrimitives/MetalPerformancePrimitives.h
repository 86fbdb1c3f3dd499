// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The tensor operations of Metal 4, as far as parsing needs them: shapes, element counts and declarations. They cannot
// be run (MSL_MODE_RUN refuses this header).
#pragma once

#include <metal_stdlib>

#ifdef MSL_MODE_RUN
#error "MetalPerformancePrimitives (mpp::tensor_ops) cannot be run on the CPU yet"
#endif

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
  T elements[N];
  T& operator[](int i) { return elements[i]; }
  constexpr int get_capacity() const { return N; }
};

template <matmul2d_descriptor D, class Scope>
struct matmul2d {
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
  void run(A& a, B& b, C& c);
};

}  // namespace tensor_ops
}  // namespace mpp
