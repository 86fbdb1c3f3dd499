// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What a tensor needs to live on the mps device: making, resizing, viewing and copying. What is not here falls
// back to the CPU (fallback.cpp).
#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_as_complex_native.h>
#include <ATen/ops/view_as_real_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/InferenceMode.h>
#include <torch/library.h>

#include <cstring>

#include "buffers.h"
#include "cpu_alias.h"

namespace {

using at::IntArrayRef;
using at::Tensor;
using porter::mps::as_cpu;

// MPS tensors have at most this many dimensions (libtorch's message names it).
constexpr std::size_t kMaxDimensions = 16;

void check_dtype(at::ScalarType dtype) {
  TORCH_CHECK_TYPE(dtype != at::kDouble,
                   "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
                   "Please use float32 instead.");
  TORCH_CHECK_TYPE(dtype != at::kComplexDouble, "Trying to convert ", dtype,
                   " to the MPS backend but it does not have support for that dtype.");
}

Tensor empty(IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
             std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  TORCH_CHECK(size.size() <= kMaxDimensions, "MPS supports tensors with dimensions <= ", kMaxDimensions, ", but got ",
              size.size(), ".");
  const auto type = c10::dtype_or_default(dtype);
  check_dtype(type);
  return Tensor(at::detail::empty_generic(size, porter::mps::allocator(), c10::DispatchKeySet(c10::DispatchKey::MPS),
                                          type, format));
}

Tensor empty_strided(IntArrayRef size, IntArrayRef stride, std::optional<at::ScalarType> dtype,
                     std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  const auto type = c10::dtype_or_default(dtype);
  check_dtype(type);
  return Tensor(at::detail::empty_strided_generic(size, stride, porter::mps::allocator(),
                                                  c10::DispatchKeySet(c10::DispatchKey::MPS), type));
}

// A copy or a fill, which no derivative is taken of here.
template <typename Work>
void on_stream(const Work& work) {
  porter::mps::on_stream([&] {
    const c10::InferenceMode no_tracking;
    work();
  });
}

Tensor& copy_(Tensor& self, const Tensor& source, bool non_blocking) {
  on_stream([&] { as_cpu(self).copy_(as_cpu(source), non_blocking); });
  return self;
}

Tensor copy_from(const Tensor& self, const Tensor& destination, bool non_blocking) {
  on_stream([&] { as_cpu(destination).copy_(as_cpu(self), non_blocking); });
  return destination;
}

Tensor copy_from_and_resize(const Tensor& self, const Tensor& destination) {
  destination.resize_(self.sizes());
  return copy_from(self, destination, false);
}

Tensor& fill_(Tensor& self, const at::Scalar& value) {
  on_stream([&] { as_cpu(self).fill_(value); });
  return self;
}

Tensor& zero_(Tensor& self) { return fill_(self, 0); }

at::Scalar local_scalar_dense(const Tensor& self) {
  at::Scalar value;
  on_stream([&] { value = as_cpu(self).item(); });
  return value;
}

// Makes the storage hold what the tensor now spans, keeping what it held.
void grow_storage(const Tensor& self) {
  auto* tensor = self.unsafeGetTensorImpl();
  const auto needed = at::detail::computeStorageNbytes(self.sizes(), self.strides(), self.element_size(),
                                                       self.storage_offset());
  auto* storage = tensor->unsafe_storage().unsafeGetStorageImpl();
  if (self.numel() == 0 || needed <= storage->nbytes()) {
    return;
  }
  TORCH_CHECK(storage->resizable(), "Trying to resize storage that is not resizable");
  const auto before = porter::mps::buffer_of(self);
  auto grown = porter::mps::allocator()->allocate(needed);
  const std::size_t kept = storage->nbytes();
  storage->set_data_ptr_noswap(std::move(grown));
  storage->set_nbytes(needed);
  if (before != nullptr) {
    on_stream([&] { std::memcpy(porter::mps::buffer_of(self)->memory(), before->memory(), kept); });
  }
}

const Tensor& resize_(const Tensor& self, IntArrayRef size, std::optional<at::MemoryFormat> format) {
  if (self.sizes() != size) {
    self.unsafeGetTensorImpl()->set_sizes_contiguous(size);
    grow_storage(self);
  }
  if (format.has_value()) {
    TORCH_CHECK(*format != at::MemoryFormat::Preserve, "Unsupported memory format", *format);
    self.unsafeGetTensorImpl()->empty_tensor_restride(*format);
  }
  return self;
}

Tensor& set_storage_(Tensor& self, at::Storage source, int64_t offset, IntArrayRef size, IntArrayRef stride) {
  TORCH_CHECK(source.device().is_mps(), "Attempted to set the storage of a tensor on device \"", self.device(),
              "\" to a storage on different device \"", source.device(), "\"");
  TORCH_CHECK(offset >= 0, "Tensor: invalid storage offset ", offset);
  auto* tensor = self.unsafeGetTensorImpl();
  tensor->set_storage_keep_dtype(std::move(source));
  if (stride.empty() && !size.empty()) {
    tensor->set_storage_offset(offset);
    tensor->set_sizes_contiguous(size);
  } else {
    tensor->set_sizes_and_strides(size, stride, offset);
  }
  grow_storage(self);
  return self;
}

Tensor& set_whole_storage_(Tensor& self, at::Storage source) {
  const auto count = static_cast<int64_t>(source.nbytes()) / self.element_size();
  return set_storage_(self, std::move(source), 0, {count}, {});
}

Tensor& set_tensor_(Tensor& self, const Tensor& source) {
  return set_storage_(self, source.storage(), source.storage_offset(), source.sizes(), source.strides());
}

Tensor& set_nothing_(Tensor& self) {
  at::Storage storage(c10::Storage::use_byte_size_t(), 0, porter::mps::allocator(), true);
  return set_storage_(self, std::move(storage), 0, {0}, {});
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, MPS, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("copy_", copy_);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("fill_.Scalar", fill_);
  m.impl("zero_", zero_);
  m.impl("_local_scalar_dense", local_scalar_dense);
  m.impl("resize_", resize_);
  m.impl("set_.source_Storage", set_whole_storage_);
  m.impl("set_.source_Storage_storage_offset", set_storage_);
  m.impl("set_.source_Tensor", set_tensor_);
  m.impl("set_", set_nothing_);
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  m.impl("unfold", TORCH_FN(at::native::unfold));
  m.impl("view_as_real", TORCH_FN(at::native::view_as_real));
  m.impl("view_as_complex", TORCH_FN(at::native::view_as_complex));
}
