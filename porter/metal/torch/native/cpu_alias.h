// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Tensors of the mps device under the eyes of the CPU: memory is shared between CPU and GPU, here as on a Mac.
#pragma once

#include <ATen/core/Tensor.h>

#include "stream.h"

namespace porter::mps {

// The same elements as a CPU tensor, on the same memory, which it keeps alive. A tensor of the CPU, and one that is not
// defined, is returned as it is.
at::Tensor as_cpu(const at::Tensor& tensor);

// A new tensor of the mps device with the elements and strides of one of the CPU.
at::Tensor to_mps(const at::Tensor& tensor);

// A copy or a fill goes by the stream's queue and ends the encoder that kernels share.
template <typename Work>
void on_stream(const Work& work) {
  auto& stream = Stream::current();
  stream.run([&] {
    stream.end_encoder();
    work();
  });
}

}  // namespace porter::mps
