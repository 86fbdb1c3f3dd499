// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// One core running threadgroups, one after another: the fibers of its threads, and who may run next.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "fiber.h"
#include "kernel_abi.h"
#include "kernel_operations.h"
#include "matrix.h"
#include "stacks.h"

namespace msl {

class Check;

constexpr std::uint32_t kMaxThreadgroupMemory = 32 * 1024;  // Metal Feature Set Tables, all families this project knows

// Where the memory of a threadgroup argument begins behind `end` bytes: Metal's lengths are multiples of 16
// (setThreadgroupMemoryLength:atIndex:).
constexpr std::uint32_t threadgroup_argument_place(std::uint32_t end) { return (end + 15) / 16 * 16; }

// A grid that was checked: every field fits its 32 bits, and a threadgroup fits the kernel's limit.
struct Grid {
  const msl_kernel* kernel;
  const msl_launch* launch;
  std::array<std::uint32_t, 3> threads;
  std::array<std::uint32_t, 3> group;
  std::array<std::uint32_t, 3> groups;
  Check* check = nullptr;  // in sanitizer mode
};

class Core {
 public:
  Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  ~Core();

  // Gets ready to run threadgroups of `grid`.
  void prepare(const Grid& grid);

  // Runs threadgroup `index` (x fastest) of the grid to its end. Returns false, with `error()` set, if it could not be
  // finished. Throws std::bad_alloc.
  bool run(std::uint64_t index);
  const std::string& error() const { return error_; }

  // --- called by the running fiber ---
  void threadgroup_barrier(const void* site);
  void meet(msl_lane_operation operation, void* payload, const void* site);
  void run_matrices(const msl_matrix_batch* batch, const void* site);
  std::uint32_t lane_index() const { return current_->place.thread_index_in_simdgroup; }
  char* threadgroup_memory() { return threadgroup_memory_; }
  void* matrix_elements() { return slots_ + matrix_element(static_cast<int>(lane_index())); }

  // --- called by the running fiber in sanitizer mode ---
  Check* check() const { return grid_->check; }
  const msl_thread& place() const { return current_->place; }
  // Whether `address` lies in what a kernel may use without having been given it: its threads' stacks and places.
  bool owns(const void* address) const;
  void fail(const std::string& error) { error_ = error; }
  [[noreturn]] void abandon();  // ends the threadgroup

  // The core that runs on this operating-system thread, null outside `run`.
  static constinit thread_local Core* running;

 private:
  struct Simdgroup;

  struct Lane {
    Fiber fiber;
    Simdgroup* simdgroup;
    std::uint32_t bit;
    const void* site;  // the call it waits at
    msl_lane_operation operation;
    void* payload;
    msl_thread place;
  };

  // Each live lane is in exactly one of the three sets.
  struct Simdgroup {
    std::uint32_t ready;
    std::uint32_t meeting;
    std::uint32_t at_barrier;
    Lane* lanes;
  };

  static void start_lane();
  void place_group(std::uint64_t index);
  void place_thread(std::uint32_t thread, msl_thread& place) const;
  void run_rows();
  void run_fibers();
  void switch_to(Lane* next);
  void leave(const char* error);
  void continue_simdgroup();
  void next_lane();
  bool complete_meeting(Simdgroup& simdgroup);
  bool next_simdgroup();
  bool release_barrier();
  void tell_check(const Lane& waiting) const;

  static constexpr int kMaxSimdgroups = MSL_MAX_THREADS_PER_THREADGROUP / MSL_SIMD_WIDTH;

  Stacks stacks_;
  // Bound addresses, and behind them those of threadgroup arguments, which are this core's own.
  std::array<void*, MSL_MAX_BUFFERS + MSL_MAX_THREADGROUP_ARGUMENTS> addresses_{};
  msl_thread group_place_{};  // what all threads of the running threadgroup have in common
  Lane* lanes_;
  char* threadgroup_memory_;
  float* slots_;
  std::array<Simdgroup, kMaxSimdgroups> simdgroups_{};
  int simdgroup_count_ = 0;
  std::uint32_t thread_count_ = 0;
  Lane* current_ = nullptr;
  Fiber scheduler_{};
  const Grid* grid_ = nullptr;
  std::uint32_t memory_size_ = 0;
  std::string error_;
};

}  // namespace msl
