// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// at::native::mps::MetalKernelFunction. What libtorch checks raises libtorch's message; what Metal itself would assert,
// or leave undefined, raises a message of ours, because silence here would be kinder than a Mac.
#include <ATen/core/TensorBase.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <c10/util/complex.h>

#include "stream.h"

namespace at::native::mps {
namespace {

using porter::mps::Encoder;
using porter::mps::Size;
using porter::mps::Stream;

const msl_kernel& kernel_of(MTLComputePipelineState_t pipeline) { return *static_cast<const msl_kernel*>(pipeline); }

// The member that holds the encoder on a Mac holds the encoder's generation here, so that one that has ended is known.
void* to_member(const Encoder& encoder) { return reinterpret_cast<void*>(encoder.generation()); }

Encoder& from_member(void* member, MTLComputePipelineState_t pipeline, const char* method) {
  const char* name = kernel_of(pipeline).host_name;
  auto& stream = Stream::current();
  TORCH_CHECK(stream.on_queue(), "kernel ", name, ": ", method, " is called outside of runCommandBlock");
  TORCH_CHECK(member != nullptr, "kernel ", name, ": ", method, " is called before startEncoding");
  auto* encoder = stream.find_encoder(reinterpret_cast<uint64_t>(member));
  TORCH_CHECK(encoder != nullptr, "kernel ", name, ": ", method,
              " uses an encoder that has ended; call startEncoding in the same command block");
  return *encoder;
}

void set_scalar(Encoder& encoder, unsigned slot, const TensorBase& tensor) {
  TORCH_CHECK(tensor.dim() == 0, "Passed CPU tensor to MPS op");
  if (tensor.scalar_type() == kDouble) {
    const auto value = static_cast<float>(*static_cast<const double*>(tensor.const_data_ptr()));
    encoder.set_bytes(slot, &value, sizeof value);
  } else if (tensor.scalar_type() == kComplexDouble) {
    const auto value =
        static_cast<c10::complex<float>>(*static_cast<const c10::complex<double>*>(tensor.const_data_ptr()));
    encoder.set_bytes(slot, &value, sizeof value);
  } else {
    // From the start of the storage: libtorch drops a scalar's storage offset, and so do we.
    encoder.set_bytes(slot, tensor.storage().data(), tensor.element_size());
  }
}

void dispatch_threads(Encoder& encoder, MTLComputePipelineState_t pipeline, Size threads, Size group) {
  const auto* current = encoder.pipeline();
  TORCH_CHECK(current == pipeline, "kernel ", kernel_of(pipeline).host_name, " is dispatched while the encoder is set to ",
              current->host_name, ", which would run instead: startEncoding of another kernel function came between");
  encoder.dispatch_threads(threads, group);
}

}  // namespace

void* get_tensor_gpu_address(const TensorBase& tensor) { return porter::mps::memory_of(tensor); }

MetalKernelFunction::MetalKernelFunction(MTLComputePipelineState_t cps_, MTLFunction_t f_) : cps(cps_), func(f_) {}

MetalKernelFunction::~MetalKernelFunction() = default;

uint64_t MetalKernelFunction::getMaxThreadsPerThreadgroup() const { return kernel_of(cps).max_threads; }

uint64_t MetalKernelFunction::getThreadExecutionWidth() const { return MSL_SIMD_WIDTH; }

uint64_t MetalKernelFunction::getStaticThreadGroupMemoryLength() const { return kernel_of(cps).threadgroup_memory; }

void MetalKernelFunction::runCommandBlock(std::function<void(void)> run) { Stream::current().run(run); }

void MetalKernelFunction::startEncoding() {
  auto& stream = Stream::current();
  TORCH_CHECK(stream.on_queue(), "kernel ", kernel_of(cps).host_name,
              ": startEncoding is called outside of runCommandBlock");
  auto& current = stream.encoder();
  current.set_pipeline(&kernel_of(cps));
  encoder = to_member(current);
}

void MetalKernelFunction::setArg(unsigned idx, const TensorBase& t) {
  auto& current = from_member(encoder, cps, "setArg");
  const auto device = t.device();  // raises for an undefined tensor
  if (device.is_cpu()) {
    set_scalar(current, idx, t);
    return;
  }
  TORCH_CHECK(device.is_mps(), "kernel ", kernel_of(cps).host_name, ": setArg(", idx, ") was given a tensor on ", device);
  current.set_buffer(idx, porter::mps::buffer_of(t), t.storage_offset() * t.element_size());
}

void MetalKernelFunction::setArg(unsigned idx, const void* ptr, uint64_t size) {
  TORCH_CHECK(size > 0);
  from_member(encoder, cps, "setArg").set_bytes(idx, ptr, size);
}

void MetalKernelFunction::setErrorBufferIndex(unsigned idx) {
  auto buffer = Stream::current().error_buffer();
  from_member(encoder, cps, "setErrorBufferIndex").set_buffer(idx, std::move(buffer), 0);
}

void MetalKernelFunction::dispatch(uint64_t length, std::optional<uint64_t> groupSize) {
  auto& current = from_member(encoder, cps, "dispatch");
  const auto limit = getMaxThreadsPerThreadgroup();
  const auto group = groupSize.value_or(std::min(length, limit));
  TORCH_CHECK_VALUE(group <= limit, "Threadgroup size exceeds ", limit, " limit");
  dispatch_threads(current, cps, {length, 1, 1}, {group, 1, 1});
}

void MetalKernelFunction::dispatch(ArrayRef<uint64_t> length, OptionalArrayRef<uint64_t> groupSize) {
  auto& current = from_member(encoder, cps, "dispatch");
  TORCH_CHECK(!length.empty() && length.size() < 4, "Dispatch dimensions must be less than 3 and non-empty");
  TORCH_CHECK(!groupSize.has_value() || groupSize->size() == length.size(),
              "size and group_size must have same number of dimensions");
  const auto to_size = [](ArrayRef<uint64_t> sizes) {
    return Size{sizes[0], sizes.size() > 1 ? sizes[1] : 1, sizes.size() > 2 ? sizes[2] : 1};
  };
  const auto limit = getMaxThreadsPerThreadgroup();
  const auto group = groupSize.has_value() ? to_size(*groupSize) : Size{limit, 1, 1};
  // Each factor first, so that the product of three cannot wrap around.
  TORCH_CHECK_VALUE(group.x <= limit && group.y <= limit && group.z <= limit && group.x * group.y * group.z <= limit,
                    "Threadgroup size exceeds ", limit, " limit");
  dispatch_threads(current, cps, to_size(length), group);
}

}  // namespace at::native::mps
