// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Scheduling. A lane runs until it meets others, waits at a barrier or ends; then the next ready lane of its simdgroup
// runs, so that a simdgroup moves as one. When no lane of a simdgroup is ready, the lanes that meet at the first call
// (in the order of the code, so that those behind catch up) are a group. A simdgroup of which all live lanes wait at a
// barrier lets the next simdgroup run, and when that is true of all the barrier opens.

#include "threadgroup.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "check.h"

namespace msl {

constinit thread_local Core* Core::running = nullptr;

namespace {

int lowest(std::uint32_t set) { return __builtin_ctz(set); }

// Uninitialised threadgroup memory is NaN, so that a kernel that reads it is noticed.
constexpr int kUninitialised = 0xff;

constexpr const char* kDivergentBarrier =
    "threads of one simdgroup wait at different threadgroup_barrier calls: "
    "every thread that has not ended must reach the same barrier";
constexpr const char* kPartialMatrix =
    "a simdgroup_matrix operation was reached by fewer than the 32 threads of its simdgroup, which Metal leaves undefined";

}  // namespace

Core::Core()
    : lanes_(static_cast<Lane*>(std::calloc(MSL_MAX_THREADS_PER_THREADGROUP, sizeof(Lane)))),
      threadgroup_memory_(static_cast<char*>(std::aligned_alloc(64, kMaxThreadgroupMemory))),
      slots_(static_cast<float*>(std::aligned_alloc(64, MSL_MATRIX_SLOTS * MSL_MATRIX_SLOT_BYTES))) {
  if (lanes_ == nullptr || threadgroup_memory_ == nullptr || slots_ == nullptr) {
    throw std::bad_alloc();
  }
  std::memset(slots_, 0, MSL_MATRIX_SLOTS * MSL_MATRIX_SLOT_BYTES);
}

Core::~Core() {
  std::free(lanes_);
  std::free(threadgroup_memory_);
  std::free(slots_);
}

void Core::prepare(const Grid& grid) {
  grid_ = &grid;
  for (int slot = 0; slot < MSL_MAX_BUFFERS; ++slot) {
    addresses_[static_cast<std::size_t>(slot)] = grid.launch->buffers[slot].address;
  }
  memory_size_ = grid.kernel->threadgroup_memory;
  for (int index = 0; index < MSL_MAX_THREADGROUP_ARGUMENTS; ++index) {
    if (grid.launch->threadgroup_lengths[index] == 0) {
      continue;
    }
    memory_size_ = threadgroup_argument_place(memory_size_);
    addresses_[static_cast<std::size_t>(MSL_MAX_BUFFERS + index)] = threadgroup_memory_ + memory_size_;
    memory_size_ += static_cast<std::uint32_t>(grid.launch->threadgroup_lengths[index]);
    if (grid.check != nullptr) {
      addresses_[static_cast<std::size_t>(MSL_MAX_BUFFERS + index)] = grid.check->threadgroup_argument(index);
    }
  }
}

bool Core::run(std::uint64_t index) {
  error_.clear();
  place_group(index);
  std::memset(threadgroup_memory_, kUninitialised, memory_size_);
  if (grid_->check != nullptr) {
    grid_->check->begin_threadgroup();
  }
  running = this;
  if (grid_->kernel->needs_fibers != 0) {
    run_fibers();
  } else {
    run_rows();
  }
  running = nullptr;
  return error_.empty();
}

void Core::place_group(std::uint64_t index) {
  const Grid& grid = *grid_;
  msl_thread& place = group_place_;
  thread_count_ = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const auto group = static_cast<std::uint32_t>(index % grid.groups[axis]);
    index /= grid.groups[axis];
    const std::uint32_t left = grid.threads[axis] - group * grid.group[axis];
    place.threadgroup_position_in_grid[axis] = group;
    place.threads_per_grid[axis] = grid.threads[axis];
    place.threads_per_threadgroup[axis] = left < grid.group[axis] ? left : grid.group[axis];
    place.dispatch_threads_per_threadgroup[axis] = grid.group[axis];
    place.threadgroups_per_grid[axis] = grid.groups[axis];
    thread_count_ *= place.threads_per_threadgroup[axis];
  }
  simdgroup_count_ = static_cast<int>((thread_count_ + MSL_SIMD_WIDTH - 1) / MSL_SIMD_WIDTH);
  place.threads_per_simdgroup = MSL_SIMD_WIDTH;
  place.simdgroups_per_threadgroup = static_cast<std::uint32_t>(simdgroup_count_);
}

void Core::place_thread(std::uint32_t thread, msl_thread& place) const {
  place = group_place_;
  const std::uint32_t* size = place.threads_per_threadgroup;
  const std::uint32_t position[3] = {thread % size[0], thread / size[0] % size[1], thread / size[0] / size[1]};
  for (int axis = 0; axis < 3; ++axis) {
    place.thread_position_in_grid[axis] =
        place.threadgroup_position_in_grid[axis] * place.dispatch_threads_per_threadgroup[axis] + position[axis];
    place.thread_position_in_threadgroup[axis] = position[axis];
  }
  place.thread_index_in_threadgroup = thread;
  place.thread_index_in_simdgroup = thread % MSL_SIMD_WIDTH;
  place.simdgroup_index_in_threadgroup = thread / MSL_SIMD_WIDTH;
  place.thread_index_in_quadgroup = thread % 4;
  place.quadgroup_index_in_threadgroup = thread / 4;
}

// Threads that never wait, a row along x at a time.
void Core::run_rows() {
  const msl_kernel& kernel = *grid_->kernel;
  const std::uint32_t width = group_place_.threads_per_threadgroup[0];
  current_ = &lanes_[0];
  for (std::uint32_t thread = 0; thread < thread_count_; thread += width) {
    place_thread(thread, current_->place);
    kernel.row(addresses_.data(), threadgroup_memory_, &current_->place, width);
  }
}

void Core::run_fibers() {
  for (std::uint32_t thread = 0; thread < thread_count_; ++thread) {
    Lane& lane = lanes_[thread];
    place_thread(thread, lane.place);
    lane.simdgroup = &simdgroups_[thread / MSL_SIMD_WIDTH];
    lane.bit = 1u << (thread % MSL_SIMD_WIDTH);
    start_fiber(lane.fiber, stacks_.top(thread), stacks_.usable(thread), &Core::start_lane);
  }
  for (int i = 0; i < simdgroup_count_; ++i) {
    const std::uint32_t threads = thread_count_ - static_cast<std::uint32_t>(i) * MSL_SIMD_WIDTH;
    const std::uint32_t all = threads >= MSL_SIMD_WIDTH ? ~0u : (1u << threads) - 1;
    simdgroups_[i] = {all, 0, 0, &lanes_[i * MSL_SIMD_WIDTH]};
  }
  current_ = &lanes_[0];
  switch_fiber(scheduler_, current_->fiber);
  for (std::uint32_t thread = 0; thread < thread_count_; ++thread) {
    end_fiber(lanes_[thread].fiber);
  }
}

void Core::start_lane() {
  Core& core = *running;
  fiber_entered(core.current_->fiber);
  core.grid_->kernel->entry(core.addresses_.data(), core.threadgroup_memory_, &core.current_->place);
  core.current_->simdgroup->ready &= ~core.current_->bit;
  core.next_lane();
  std::abort();  // a lane that has ended is in no set, so nothing switches back to it
}

void Core::switch_to(Lane* next) {
  Lane* previous = current_;
  if (next == previous) {
    return;
  }
  current_ = next;
  switch_fiber(previous->fiber, next->fiber);
}

// Ends the threadgroup: its other fibers are not continued, and nothing is left on their stacks to clean up.
void Core::leave(const char* error) {
  if (error != nullptr) {
    error_ = error;
  }
  switch_fiber(current_->fiber, scheduler_);
}

// Runs something else until the current lane is ready again.
void Core::next_lane() {
  const Simdgroup& simdgroup = *current_->simdgroup;
  if (simdgroup.ready != 0) {
    switch_to(&simdgroup.lanes[lowest(simdgroup.ready)]);
  } else {
    continue_simdgroup();
  }
}

void Core::continue_simdgroup() {
  Simdgroup& simdgroup = *current_->simdgroup;
  if (simdgroup.meeting != 0) {
    if (!complete_meeting(simdgroup)) {
      return leave(nullptr);
    }
    // A lane of the group that is running already need not be switched to.
    if ((simdgroup.ready & current_->bit) == 0) {
      switch_to(&simdgroup.lanes[lowest(simdgroup.ready)]);
    }
    return;
  }
  if (next_simdgroup()) {
    return;
  }
  if (!release_barrier()) {
    leave(nullptr);
  }
}

// The lanes that meet at the first call become ready, and what they met for is done.
bool Core::complete_meeting(Simdgroup& simdgroup) {
  Lane* first = nullptr;
  for (std::uint32_t left = simdgroup.meeting; left != 0; left &= left - 1) {
    Lane* lane = &simdgroup.lanes[lowest(left)];
    if (first == nullptr || lane->site < first->site) {
      first = lane;
    }
  }
  std::uint32_t group = 0;
  void* payloads[MSL_SIMD_WIDTH] = {};
  for (std::uint32_t left = simdgroup.meeting; left != 0; left &= left - 1) {
    const int index = lowest(left);
    if (simdgroup.lanes[index].site == first->site) {
      group |= 1u << index;
      payloads[index] = simdgroup.lanes[index].payload;
    }
  }
  if (first->operation != nullptr) {
    first->operation(payloads, group);
  }
  simdgroup.meeting &= ~group;
  simdgroup.ready |= group;
  return error_.empty();
}

// Switches to a simdgroup after the current one that has a ready lane; false if there is none.
bool Core::next_simdgroup() {
  const int current = static_cast<int>(current_->simdgroup - simdgroups_.data());
  for (int step = 1; step < simdgroup_count_; ++step) {
    const Simdgroup& simdgroup = simdgroups_[(current + step) % simdgroup_count_];
    if (simdgroup.ready != 0) {
      switch_to(&simdgroup.lanes[lowest(simdgroup.ready)]);
      return true;
    }
  }
  return false;
}

// Every live lane waits at a barrier: lets them go on. False if all lanes have ended, or on an error. A simdgroup runs
// one instruction at a time, so that its lanes must wait at one call; simdgroups are only counted, and MLX's NAX GEMM has
// those of whole tiles and those of cut ones wait at two.
bool Core::release_barrier() {
  Lane* first = nullptr;
  for (int i = 0; i < simdgroup_count_; ++i) {
    Simdgroup& simdgroup = simdgroups_[i];
    const void* site = nullptr;
    for (std::uint32_t left = simdgroup.at_barrier; left != 0; left &= left - 1) {
      Lane* lane = &simdgroup.lanes[lowest(left)];
      if (first == nullptr) {
        first = lane;
      }
      if (site == nullptr) {
        site = lane->site;
      } else if (lane->site != site) {
        if (grid_->check == nullptr) {
          error_ = kDivergentBarrier;
        } else {
          grid_->check->report_divergence(first->place, lane->place);
        }
        return false;
      }
    }
    simdgroup.ready = simdgroup.at_barrier;
    simdgroup.at_barrier = 0;
  }
  if (first == nullptr) {
    return false;
  }
  if (grid_->check != nullptr) {
    tell_check(*first);
  }
  switch_to(first);
  return true;
}

// All threads that can wait at the barrier do, and it is about to open.
void Core::tell_check(const Lane& waiting) const {
  const Lane* ended = nullptr;
  for (std::uint32_t thread = 0; thread < thread_count_ && ended == nullptr; ++thread) {
    const Lane& lane = lanes_[thread];
    ended = (lane.simdgroup->ready & lane.bit) == 0 ? &lane : nullptr;
  }
  grid_->check->open_barrier(waiting.place, ended == nullptr ? nullptr : &ended->place);
}

bool Core::owns(const void* address) const {
  const auto* byte = static_cast<const char*>(address);
  const auto in = [byte](const void* begin, std::size_t size) {
    return static_cast<std::size_t>(byte - static_cast<const char*>(begin)) < size;
  };
  return stacks_.hold(address) || in(lanes_, MSL_MAX_THREADS_PER_THREADGROUP * sizeof(Lane)) || in(this, sizeof *this);
}

void Core::abandon() {
  leave(nullptr);
  std::abort();  // nothing switches back
}

void Core::threadgroup_barrier(const void* site) {
  Lane& lane = *current_;
  lane.site = site;
  lane.simdgroup->ready &= ~lane.bit;
  lane.simdgroup->at_barrier |= lane.bit;
  next_lane();
}

void Core::meet(msl_lane_operation operation, void* payload, const void* site) {
  Lane& lane = *current_;
  lane.site = site;
  lane.operation = operation;
  lane.payload = payload;
  lane.simdgroup->ready &= ~lane.bit;
  lane.simdgroup->meeting |= lane.bit;
  next_lane();
}

void Core::run_matrices(const msl_matrix_batch* batch, const void* site) {
  meet(
      [](void* const* lanes, std::uint32_t active) {
        if (active != ~0u) {
          running->error_ = kPartialMatrix;
          return;
        }
        run_products(*static_cast<const msl_matrix_batch*>(lanes[0]), running->slots_);
      },
      const_cast<msl_matrix_batch*>(batch), site);
}

}  // namespace msl

extern "C" {

#define MSL_CALL_SITE __builtin_return_address(0)

__attribute__((noinline)) void msl_threadgroup_barrier(uint32_t) { msl::Core::running->threadgroup_barrier(MSL_CALL_SITE); }

__attribute__((noinline)) void msl_simdgroup_meet(msl_lane_operation operation, void* payload) {
  msl::Core::running->meet(operation, payload, MSL_CALL_SITE);
}

__attribute__((noinline)) void msl_simdgroup_barrier(uint32_t) {
  msl::Core::running->meet(nullptr, nullptr, MSL_CALL_SITE);
}

__attribute__((noinline)) void msl_matrix_run(const msl_matrix_batch* batch) {
  msl::Core::running->run_matrices(batch, MSL_CALL_SITE);
}

uint32_t msl_lane_index() { return msl::Core::running->lane_index(); }
char* msl_threadgroup_memory() { return msl::Core::running->threadgroup_memory(); }
void* msl_matrix_elements() { return msl::Core::running->matrix_elements(); }
}
