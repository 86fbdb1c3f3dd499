// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "cpu_alias.h"

#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>

#include "buffers.h"

namespace porter::mps {

at::Tensor as_cpu(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_mps()) {
    return tensor;
  }
  auto alias = at::from_blob(
      memory_of(tensor), tensor.sizes(), tensor.strides(), [buffer = buffer_of(tensor)](void*) {},
      tensor.options().device(at::kCPU), at::kCPU);
  alias._set_conj(tensor.is_conj());
  alias._set_neg(tensor.is_neg());
  return alias;
}

at::Tensor to_mps(const at::Tensor& tensor) {
  if (!tensor.defined()) {
    return tensor;
  }
  auto moved = at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kMPS));
  return moved.copy_(tensor);
}

}  // namespace porter::mps
