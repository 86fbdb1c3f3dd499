// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "events.h"

#include <c10/util/Exception.h>

namespace porter::mps {

Events::Event& Events::find(uint32_t id) {
  const auto found = events_.find(id);
  TORCH_CHECK(found != events_.end(), "Invalid Event ID: ", id);
  return found->second;
}

uint32_t Events::acquire(bool timed) {
  const std::lock_guard lock(mutex_);
  events_[++last_].timed = timed;
  return last_;
}

void Events::release(uint32_t id) {
  const std::lock_guard lock(mutex_);
  find(id);
  events_.erase(id);
}

void Events::record(uint32_t id) {
  const std::lock_guard lock(mutex_);
  find(id).recorded = std::chrono::steady_clock::now();
}

void Events::wait(uint32_t id) {
  const std::lock_guard lock(mutex_);
  find(id);
}

bool Events::query(uint32_t id) {
  const std::lock_guard lock(mutex_);
  find(id);
  return true;
}

double Events::elapsed_ms(uint32_t start, uint32_t end) {
  const std::lock_guard lock(mutex_);
  const auto& first = find(start);
  const auto& last = find(end);
  TORCH_CHECK(first.timed && last.timed && first.recorded && last.recorded,
              "Events were not created with argument 'enable_timing=True', or not recorded");
  TORCH_CHECK(*last.recorded > *first.recorded, "End event ", end, " was not recorded after start event ", start);
  return std::chrono::duration<double, std::milli>(*last.recorded - *first.recorded).count();
}

Events& events() {
  static auto* instance = new Events();
  return *instance;
}

}  // namespace porter::mps
