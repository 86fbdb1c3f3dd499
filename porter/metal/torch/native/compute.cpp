// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Operators that torch leaves to each device, so that the fallback alone is not enough: convolution, attention, and
// dropout in one step.
#include <ATen/core/Tensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <array>
#include <limits>
#include <tuple>

#include "cpu_alias.h"

namespace {

using at::IntArrayRef;
using at::Tensor;
using porter::mps::as_cpu;
using porter::mps::to_mps;

void check_on_device(std::initializer_list<Tensor> tensors) {
  for (const auto& tensor : tensors) {
    TORCH_CHECK(!tensor.defined() || tensor.is_mps(), "Expected all tensors to be on the same device, but found at least "
                "two devices, mps:0 and ", tensor.device(), "!");
  }
}

// By the CPU's convolution, so with the CPU's bits.
Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>& bias, IntArrayRef stride,
                   IntArrayRef padding, IntArrayRef dilation, bool transposed, IntArrayRef output_padding,
                   int64_t groups) {
  check_on_device({input, weight, bias.value_or(Tensor())});
  Tensor output;
  porter::mps::on_stream([&] {
    const auto host_bias = bias.has_value() ? std::optional(as_cpu(*bias)) : std::nullopt;
    output = at::convolution(as_cpu(input), as_cpu(weight), host_bias, stride, padding, dilation, transposed,
                             output_padding, groups);
  });
  return to_mps(output);
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor& grad_output, const Tensor& input,
                                                        const Tensor& weight, IntArrayRef stride, IntArrayRef padding,
                                                        IntArrayRef dilation, bool transposed,
                                                        IntArrayRef output_padding, int64_t groups,
                                                        std::array<bool, 3> output_mask) {
  check_on_device({grad_output, input, weight});
  Tensor input_gradient;
  Tensor weight_gradient;
  Tensor bias_gradient;
  porter::mps::on_stream([&] {
    // The bias has one element for each output channel, the second dimension of what comes out.
    const std::array<int64_t, 1> bias_size = {grad_output.size(1)};
    std::tie(input_gradient, weight_gradient, bias_gradient) =
        at::convolution_backward(as_cpu(grad_output), as_cpu(input), as_cpu(weight), bias_size, stride, padding,
                                 dilation, transposed, output_padding, groups, output_mask);
  });
  return {to_mps(input_gradient), to_mps(weight_gradient), to_mps(bias_gradient)};
}

// What is added to the products: a boolean mask says which of them take part.
std::optional<Tensor> additive_mask(const std::optional<Tensor>& mask, const Tensor& query) {
  if (!mask.has_value() || !mask->defined()) {
    return std::nullopt;
  }
  const auto type = mask->scalar_type();
  TORCH_CHECK(type == at::kBool || type == at::kFloat || type == query.scalar_type(),
              "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ",
              mask->dtype(), " and  query.dtype: ", query.dtype(), " instead.");
  if (type != at::kBool) {
    return mask;
  }
  return at::zeros_like(*mask, query.options())
      .masked_fill_(mask->logical_not(), -std::numeric_limits<double>::infinity());
}

// In operators that torch can differentiate. A Mac has a fused kernel too, for what needs no gradient; it computes the
// same, in another order.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const std::optional<Tensor>& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale, bool enable_gqa) {
  TORCH_CHECK(query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2,
              "scaled_dot_product_attention: Expected query, key, and value to have at least 2 dimensions, but got ",
              query.dim(), ", ", key.dim(), " and ", value.dim());
  TORCH_CHECK(query.dtype() == key.dtype() && query.dtype() == value.dtype(),
              "Expected query, key, and value to have the same dtype, but got query.dtype: ", query.dtype(),
              " key.dtype: ", key.dtype(), " and value.dtype: ", value.dtype(), " instead.");
  return std::get<0>(at::_scaled_dot_product_attention_math(query, key, value, additive_mask(attn_mask, query), dropout_p, is_causal,
                                                            /*dropout_mask=*/std::nullopt, scale, enable_gqa));
}

// Which of sdp::SDPBackend is taken: math.
int64_t fused_sdp_choice(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, double, bool,
                         std::optional<double>, bool) {
  return 0;
}

// The CPU's would draw from the CPU's generator.
std::tuple<Tensor, Tensor> native_dropout(const Tensor& input, double p, std::optional<bool> train) {
  const auto kept_type = input.options().dtype(at::kBool);
  if (!train.value_or(true) || input.numel() == 0) {
    return {input.clone(), at::ones_like(input, kept_type)};
  }
  if (p == 1) {
    return {at::zeros_like(input), at::zeros_like(input, kept_type)};
  }
  auto kept = at::empty_like(input, kept_type).bernoulli_(1 - p);
  return {input.mul(kept).mul_(1 / (1 - p)), kept};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, MPS, m) {
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
  m.impl("scaled_dot_product_attention", scaled_dot_product_attention);
  m.impl("_fused_sdp_choice", fused_sdp_choice);
  m.impl("native_dropout", native_dropout);
}

// torch's own is made of other operators and so needs no derivative; ours stands before it and is made of them as well.
TORCH_LIBRARY_IMPL(aten, AutogradMPS, m) { m.impl("scaled_dot_product_attention", scaled_dot_product_attention); }
