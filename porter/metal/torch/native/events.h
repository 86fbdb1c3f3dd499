// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Behind torch.mps.Event. An event is over as soon as it is recorded, because a kernel has ended when its dispatch
// returns; so there is nothing to wait for, and every query is true.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace porter::mps {

// Every function that takes an event's number raises where there is no event of that number.
class Events {
 public:
  uint32_t acquire(bool timed);
  void release(uint32_t id);
  void record(uint32_t id);
  void wait(uint32_t id);
  bool query(uint32_t id);
  // Milliseconds from one event to another. Raises where one was not made for timing or not recorded, or where `end`
  // was not recorded after `start`.
  double elapsed_ms(uint32_t start, uint32_t end);

 private:
  struct Event {
    bool timed = false;
    std::optional<std::chrono::steady_clock::time_point> recorded;
  };
  Event& find(uint32_t id);

  std::mutex mutex_;
  std::map<uint32_t, Event> events_;
  uint32_t last_ = 0;
};

Events& events();

}  // namespace porter::mps
