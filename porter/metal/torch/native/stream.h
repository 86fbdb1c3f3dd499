// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The one stream of the mps device: a serial queue, and the compute command encoder that all kernel functions share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "buffers.h"
#include "encoder.h"

namespace porter::mps {

class Stream {
 public:
  // The device's stream; a stream of the calling thread's own while the serial queue is switched off.
  static Stream& current();

  // Runs `block` on the serial queue, that is, while no other thread's block runs; what it throws comes out. Raises
  // where the calling thread is on the queue already: there dispatch_sync waits for itself for ever.
  void run(const std::function<void()>& block);

  // Whether the calling thread is inside a block of `run`.
  bool on_queue() const { return owner_.load() == std::this_thread::get_id(); }

  // The encoder to start an encoding with, begun if there is none. To be called on the queue.
  Encoder& encoder();

  // The encoder of that generation, or null where it has ended. To be called on the queue.
  Encoder* find_encoder(uint64_t generation);

  // Ends the encoder: the next one begins with nothing bound. To be called on the queue.
  void end_encoder() { encoder_.reset(); }

  // Waits until everything is done, from on or off the queue, and raises the first error that a kernel reported
  // (c10/metal/error.h) since the last time.
  void synchronize();

  // Where kernels report errors: a c10::metal::ErrorMessages.
  std::shared_ptr<Buffer> error_buffer();

 private:
  void check_last_error();

  std::mutex queue_;
  std::atomic<std::thread::id> owner_;
  std::unique_ptr<Encoder> encoder_;
  std::map<uint64_t, std::unique_ptr<Encoder>> own_encoders_;  // while they are not shared
  std::mutex errors_;
  std::shared_ptr<Buffer> error_buffer_;
};

}  // namespace porter::mps
