// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Every operator that nothing implements for the mps device runs on the CPU's kernels, on copies of its tensors.
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/CPUFallback.h>
#include <torch/library.h>

#include <string>

#include "generator.h"

namespace {

using at::Tensor;

// Operators that take a tensor of the CPU beside those of the device: indices, and the lengths of sequences.
bool takes_cpu_tensors(const std::string& name) {
  return name.find("index") != std::string::npos || name == "aten::_pack_padded_sequence";
}

void check_device(const Tensor& tensor) {
  TORCH_CHECK(!tensor.defined() || !tensor.is_cpu() || tensor.dim() == 0,
              "Expected all tensors to be on the same device, but found at least two devices, mps:0 and cpu!");
}

// The fallback would bring tensors of any device together; a Mac takes no tensor of the CPU but scalars.
void check_devices(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  if (takes_cpu_tensors(op.schema().name())) {
    return;
  }
  for (const auto& value : torch::jit::last(stack, op.schema().arguments().size())) {
    if (value.isTensor()) {
      check_device(value.toTensor());
    } else if (value.isTensorList()) {
      for (const Tensor& tensor : value.toTensorList()) {
        check_device(tensor);
      }
    }
  }
}

bool is_generator(const c10::Argument& argument) {
  const auto& type = argument.type();
  const auto optional = type->cast<c10::OptionalType>();
  return (optional ? optional->getElementType() : type)->kind() == c10::TypeKind::GeneratorType;
}

// The CPU's kernels draw from a CPU generator: the one behind the device's.
void exchange_generators(const c10::OperatorHandle& op, torch::jit::Stack& stack) {
  const auto& arguments = op.schema().arguments();
  const auto first = stack.size() - arguments.size();
  for (std::size_t index = 0; index < arguments.size(); ++index) {
    if (is_generator(arguments[index])) {
      auto& value = stack[first + index];
      value = porter::mps::numbers_of(value.isNone() ? porter::mps::default_generator() : value.toGenerator());
    }
  }
}

// A view that ran on the CPU would come back as a copy, so an operator that makes views is refused, not run.
void fall_back_to_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  check_devices(op, *stack);
  exchange_generators(op, *stack);
  at::native::cpu_fallback(op, stack, /*error_on_views=*/true);
}

}  // namespace

TORCH_LIBRARY_IMPL(_, MPS, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fall_back_to_cpu>()); }

// Torch has recipes of other operators for these, which stand before a fallback. Those of the first two lines round
// elsewhere than the CPU's own kernels do; those of the losses warn that they resize what they made themselves.
TORCH_LIBRARY_IMPL(aten, MPS, m) {
  for (const char* name : {"native_layer_norm", "native_layer_norm_backward", "native_group_norm",
                           "native_group_norm_backward", "silu_backward", "mish_backward", "mse_loss",
                           "smooth_l1_loss", "huber_loss"}) {
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&fall_back_to_cpu>());
  }
}
