// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "stream.h"

#include <c10/metal/error.h>
#include <c10/util/Exception.h>

#include <cstring>

#include "semantics.h"

namespace porter::mps {

Stream& Stream::current() {
  static auto* shared = new Stream();
  if (keeps(Stock::SerialQueue)) {
    return *shared;
  }
  static thread_local Stream own;
  return own;
}

void Stream::run(const std::function<void()>& block) {
  if (on_queue() && !keeps(Stock::SerialQueue)) {
    block();
    return;
  }
  TORCH_CHECK(!on_queue(),
              "the stream's serial queue is entered from a block that already runs on it: on a Mac this is a deadlock. "
              "Inside runCommandBlock no tensor may be copied, filled, printed or computed with, and no other command "
              "block may be run");
  const std::lock_guard lock(queue_);
  owner_ = std::this_thread::get_id();
  struct Leave {
    Stream& stream;
    ~Leave() {
      stream.own_encoders_.clear();
      stream.owner_ = std::thread::id();
    }
  } const leave{*this};
  block();
}

Encoder& Stream::encoder() {
  static std::atomic<uint64_t> generations = 0;
  if (!keeps(Stock::SharedEncoder)) {
    const auto generation = ++generations;
    return *(own_encoders_[generation] = std::make_unique<Encoder>(generation));
  }
  if (encoder_ == nullptr) {
    encoder_ = std::make_unique<Encoder>(++generations);
  }
  return *encoder_;
}

Encoder* Stream::find_encoder(uint64_t generation) {
  if (const auto own = own_encoders_.find(generation); own != own_encoders_.end()) {
    return own->second.get();
  }
  return encoder_ != nullptr && encoder_->generation() == generation ? encoder_.get() : nullptr;
}

void Stream::synchronize() {
  if (on_queue()) {
    end_encoder();
  } else {
    run([this] { end_encoder(); });
  }
  check_last_error();
}

std::shared_ptr<Buffer> Stream::error_buffer() {
  const std::lock_guard lock(errors_);
  if (error_buffer_ == nullptr) {
    error_buffer_ = std::make_shared<Buffer>(sizeof(c10::metal::ErrorMessages));
    std::memset(error_buffer_->memory(), 0, error_buffer_->size());
  }
  return error_buffer_;
}

void Stream::check_last_error() {
  const std::lock_guard lock(errors_);
  if (error_buffer_ == nullptr) {
    return;
  }
  // Only the first message is told, as libtorch does, and the others are forgotten.
  auto* messages = reinterpret_cast<c10::metal::ErrorMessages*>(error_buffer_->memory());
  if (std::exchange(messages->count, 0) == 0) {
    return;
  }
  const auto& first = messages->msg[0];
  throw c10::AcceleratorError({first.func, first.file, first.line}, 1, first.message);
}

}  // namespace porter::mps
