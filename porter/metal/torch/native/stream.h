// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The one stream of the mps device: a serial queue, and the compute command encoder that all kernel functions share.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
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

class Stream {
 public:
  static Stream& current();

  // Runs `block` on the serial queue, that is, while no other thread's block runs; what it throws comes out. Raises
  // where the calling thread is on the queue already: there dispatch_sync waits for itself for ever.
  void run(const std::function<void()>& block);

  // Whether the calling thread is inside a block of `run`.
  bool on_queue() const { return owner_.load() == std::this_thread::get_id(); }

  // The encoder, begun if there is none. To be called on the queue.
  Encoder& encoder();

  // The encoder of that generation, or null where it has ended. To be called on the queue.
  Encoder* find_encoder(uint64_t generation);

  // Ends the encoder: the next one begins with nothing bound. To be called on the queue.
  void end_encoder() { encoder_.reset(); }

  // Waits until everything is done, from on or off the queue.
  void synchronize();

 private:
  std::mutex queue_;
  std::atomic<std::thread::id> owner_;
  std::unique_ptr<Encoder> encoder_;
  uint64_t generations_ = 0;
};

}  // namespace porter::mps
