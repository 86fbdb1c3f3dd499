// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "lookups.h"

#include <c10/util/Exception.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "control.h"
#include "semantics.h"

namespace porter::mps {
namespace {

constexpr const char* kRace =
    "two threads look up kernels of one MetalShaderLibrary at once, and one lookup is the first of its name: on a Mac "
    "both change an unlocked map. Look each kernel up under a lock of your own";

std::atomic<bool> detecting = false;
std::atomic<uint32_t> hold_milliseconds = 0;

struct Library {
  std::map<std::thread::id, int> inside;  // how deep each thread is
  std::thread::id inserter;
  int insertions = 0;

  bool others_inside() const { return inside.size() > inside.count(std::this_thread::get_id()); }
  bool other_inserts() const { return insertions > 0 && inserter != std::this_thread::get_id(); }
};

std::mutex& mutex() {
  static auto* instance = new std::mutex();
  return *instance;
}

std::unordered_map<const void*, Library>& libraries() {
  static auto* instance = new std::unordered_map<const void*, Library>();
  return *instance;
}

// Of all libraries: one lookup may lead to another's, and order does not matter to a single lock.
std::recursive_mutex& exclusion() {
  static auto* instance = new std::recursive_mutex();
  return *instance;
}

}  // namespace

Lookup::Lookup(const void* library) : library_(library), watched_(detecting && keeps(Stock::UnlockedLookups)) {
  if (!keeps(Stock::UnlockedLookups)) {
    excluding_ = std::unique_lock(exclusion());
  }
  if (!watched_) {
    return;
  }
  const std::lock_guard lock(mutex());
  auto& state = libraries()[library_];
  TORCH_CHECK(!state.other_inserts(), kRace);
  ++state.inside[std::this_thread::get_id()];
}

void Lookup::inserts() {
  if (!watched_ || inserting_) {
    return;
  }
  {
    const std::lock_guard lock(mutex());
    auto& state = libraries()[library_];
    TORCH_CHECK(!state.others_inside(), kRace);
    state.inserter = std::this_thread::get_id();
    ++state.insertions;
    inserting_ = true;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(hold_milliseconds));
}

Lookup::~Lookup() {
  if (!watched_) {
    return;
  }
  const std::lock_guard lock(mutex());
  auto& state = libraries()[library_];
  state.insertions -= inserting_ ? 1 : 0;
  const auto self = state.inside.find(std::this_thread::get_id());
  if (--self->second == 0) {
    state.inside.erase(self);
  }
  if (state.inside.empty()) {
    libraries().erase(library_);
  }
}

}  // namespace porter::mps

void porter_mps_detect_lookup_races(int on, uint32_t hold_ms) {
  porter::mps::hold_milliseconds = hold_ms;
  porter::mps::detecting = on != 0;
}
