// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Device memory. On a Mac the data pointer of an mps storage is not an address but an `id<MTLBuffer>`: host code that
// reads through it is wrong there although the memory is shared. So a buffer has two faces here: the *handle*, pages
// nobody may touch, which is what tensors carry (offsets may be added to it), and the *memory* that kernels are given.
#pragma once

#include <ATen/core/TensorBase.h>
#include <c10/core/Allocator.h>

#include <cstddef>
#include <memory>

namespace porter::mps {

class Buffer {
 public:
  explicit Buffer(std::size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  char* handle() const { return handle_; }
  char* memory() const { return memory_; }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::size_t half_;
  std::size_t mapped_;
  char* handle_;
  char* memory_;
};

// The buffer behind the data pointer of an mps storage; null for an empty storage. Raises where the pointer is not ours.
std::shared_ptr<Buffer> buffer_of(const at::TensorBase& tensor);

// The address of the tensor's first element as a kernel sees it; null for an empty storage.
char* memory_of(const at::TensorBase& tensor);

// The allocator of the mps device.
c10::Allocator* allocator();

// Bytes of all buffers, as they were asked for.
std::size_t allocated_bytes();

// The same in whole pages, as the system gave them.
std::size_t mapped_bytes();

// From here on, a buffer that would take all of them past `ratio` times `memory` bytes is refused; 0 lifts the limit.
void set_memory_limit(double ratio, std::size_t memory);

}  // namespace porter::mps
