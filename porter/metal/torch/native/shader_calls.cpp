// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What porter/metal/torch/shaders.py calls: shader libraries and kernel functions as classes that Python can hold. They
// are torch's script classes and not bindings of our own, so that no Python headers are needed, and so that errors
// become the exceptions that torch makes of them.
#include <ATen/core/Tensor.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <memory>
#include <string>
#include <vector>

#include "buffers.h"

namespace {

using at::Tensor;
using at::native::mps::MetalKernelFunction;
using at::native::mps::MetalShaderLibrary;

struct KernelObject : torch::CustomClassHolder {
  explicit KernelObject(std::shared_ptr<MetalKernelFunction> function) : function(std::move(function)) {}

  std::shared_ptr<MetalKernelFunction> function;
};

struct LibraryObject : torch::CustomClassHolder {
  explicit LibraryObject(std::unique_ptr<MetalShaderLibrary> library) : library(std::move(library)) {}

  std::unique_ptr<MetalShaderLibrary> library;
};

using KernelPointer = c10::intrusive_ptr<KernelObject>;
using LibraryPointer = c10::intrusive_ptr<LibraryObject>;

LibraryPointer compile(const std::string& source) {
  return c10::make_intrusive<LibraryObject>(std::make_unique<at::native::mps::DynamicMetalShaderLibrary>(source));
}

LibraryPointer load_file(const std::string& path) {
  return c10::make_intrusive<LibraryObject>(std::make_unique<at::native::mps::PrecompiledMetalShaderLibrary>(path));
}

// `bytes`: a tensor of the CPU.
LibraryPointer load_bytes(const Tensor& bytes) {
  const auto* data = bytes.const_data_ptr<uint8_t>();
  return c10::make_intrusive<LibraryObject>(std::make_unique<at::native::mps::PrecompiledMetalShaderLibrary>(
      std::vector<uint8_t>(data, data + bytes.numel())));
}

std::vector<uint64_t> to_sizes(const std::vector<int64_t>& sizes) { return {sizes.begin(), sizes.end()}; }

// Runs the kernel once. Argument i is bound to slot i: as a tensor, or where `by_value[i]`, as the bytes of a tensor of
// the CPU. An empty `group` is none, and a negative `error_slot` too.
void run(const KernelPointer& kernel, const std::vector<Tensor>& arguments, const c10::List<bool>& by_value,
         const std::vector<int64_t>& threads, const std::vector<int64_t>& group, int64_t error_slot) {
  auto& function = *kernel->function;
  function.runCommandBlock([&] {
    function.startEncoding();
    for (std::size_t slot = 0; slot < arguments.size(); ++slot) {
      const auto& argument = arguments[slot];
      if (by_value[slot]) {
        function.setArg(static_cast<unsigned>(slot), argument.const_data_ptr(), argument.nbytes());
      } else {
        function.setArg(static_cast<unsigned>(slot), argument);
      }
    }
    if (error_slot >= 0) {
      function.setErrorBufferIndex(static_cast<unsigned>(error_slot));
    }
    const auto sizes = to_sizes(threads);
    const auto group_sizes = to_sizes(group);
    if (sizes.size() == 1) {
      function.dispatch(sizes[0], group.empty() ? std::nullopt : std::optional<uint64_t>(group_sizes[0]));
    } else {
      function.dispatch(sizes, group.empty() ? std::nullopt : c10::OptionalArrayRef<uint64_t>(group_sizes));
    }
  });
}

// The addresses of the tensors' first elements, as a kernel that is given them in a buffer reads them.
Tensor addresses(const std::vector<Tensor>& tensors) {
  auto table = at::empty({static_cast<int64_t>(tensors.size())}, at::kLong);
  auto* row = table.mutable_data_ptr<int64_t>();
  for (const auto& tensor : tensors) {
    TORCH_CHECK(tensor.is_mps(), "Passed CPU tensor to MPS op");
    *row++ = reinterpret_cast<int64_t>(at::native::mps::get_tensor_gpu_address(tensor));
  }
  return table;
}

// The storage of `tensor` as bytes of the CPU, on the same memory, which they keep alive.
Tensor host_alias(const Tensor& tensor) {
  const auto buffer = porter::mps::buffer_of(tensor);
  TORCH_CHECK(buffer != nullptr, "an empty storage has no memory that the host could see");
  return at::from_blob(
      buffer->memory(), {static_cast<int64_t>(buffer->size())}, [buffer](void*) {},
      at::TensorOptions().dtype(at::kByte).device(at::kCPU));
}

int64_t max_threads(const KernelPointer& kernel) {
  return static_cast<int64_t>(kernel->function->getMaxThreadsPerThreadgroup());
}

int64_t execution_width(const KernelPointer& kernel) {
  return static_cast<int64_t>(kernel->function->getThreadExecutionWidth());
}

int64_t threadgroup_memory(const KernelPointer& kernel) {
  return static_cast<int64_t>(kernel->function->getStaticThreadGroupMemoryLength());
}

}  // namespace

TORCH_LIBRARY(porter_mps, m) {
  m.class_<KernelObject>("Kernel")
      .def("run", run)
      .def("max_threads", max_threads)
      .def("execution_width", execution_width)
      .def("threadgroup_memory", threadgroup_memory);
  m.class_<LibraryObject>("Library")
      .def("names", [](const LibraryPointer& self) { return self->library->getFunctionNames(); })
      .def("kernel", [](const LibraryPointer& self, const std::string& name) {
        return c10::make_intrusive<KernelObject>(self->library->getKernelFunction(name));
      });
  m.def("compile", compile);
  m.def("load_file", load_file);
  m.def("load_bytes", load_bytes);
  m.def("addresses", addresses);
  m.def("host_alias", host_alias);
}
