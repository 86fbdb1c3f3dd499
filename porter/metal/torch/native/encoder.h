// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The compute command encoder: what is bound to which slot, and the pipeline that the next dispatch runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "buffers.h"
#include "kernel_abi.h"

namespace porter::mps {

struct Size {
  uint64_t x = 1;
  uint64_t y = 1;
  uint64_t z = 1;
};

// What one buffer slot of the encoder holds.
struct Binding {
  enum class State { Unset, Poisoned, Buffer, Bytes };
  State state = State::Unset;
  std::shared_ptr<Buffer> buffer;  // kept alive as an encoder keeps the buffers it was given
  std::vector<std::max_align_t> bytes;
  void* address = nullptr;
  uint64_t offset = 0;     // from the start of the buffer, in bytes
  uint64_t available = 0;  // from the address to the end of the buffer, in bytes
};

// Shared by all kernel functions, and its bindings stay from dispatch to dispatch and from kernel to kernel until the
// encoder ends (at a copy, a fill or a synchronisation), exactly as libtorch's does.
class Encoder {
 public:
  explicit Encoder(uint64_t generation) : generation_(generation) {}

  uint64_t generation() const { return generation_; }
  const msl_kernel* pipeline() const { return pipeline_; }

  void set_pipeline(const msl_kernel* kernel);
  void set_buffer(unsigned slot, std::shared_ptr<Buffer> buffer, uint64_t offset);
  void set_bytes(unsigned slot, const void* bytes, uint64_t size);
  void dispatch_threads(Size threads, Size group);

 private:
  void check_binding(const msl_argument& argument) const;

  uint64_t generation_;
  const msl_kernel* pipeline_ = nullptr;
  std::array<Binding, MSL_MAX_BUFFERS> bindings_;
};

}  // namespace porter::mps
