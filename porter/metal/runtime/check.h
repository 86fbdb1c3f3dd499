// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Sanitizer mode. A kernel that was compiled with checks (porter/metal/sanitizer.py) calls them before every access and
// every barrier; `Check` is what one dispatch of such a kernel knows. Its threadgroups run one after another, in order,
// so that the same dispatch is always reported in the same words.
#pragma once

#include <stdint.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "check_arena.h"
#include "check_shadow.h"
#include "kernel_abi.h"

extern "C" {

// A threadgroup variable (`address` is null) or a global of the module.
typedef struct msl_check_object {
  const char* name;
  uint64_t size;
  const void* address;
} msl_check_object;

// What a module compiled with checks says about itself. A site is a number of a place in the source.
typedef struct msl_check_table {
  uint64_t site_count;
  const char* const* sites;
  uint64_t variable_count;
  const msl_check_object* variables;
  uint64_t constant_count;
  const msl_check_object* constants;
} msl_check_table;

enum { MSL_CHECK_READ = 1, MSL_CHECK_WRITE = 2, MSL_CHECK_ATOMIC = 4, MSL_CHECK_COPY = 8 };

// Called by kernels. Each ends the threadgroup where going on would be of no use.
void msl_check_access(void* address, uint64_t size, uint32_t flags, uint32_t site);
void msl_check_constant(void* address, uint64_t size, uint32_t object, uint32_t site);
void msl_check_barrier(uint32_t mem_flags, uint32_t site);
void msl_check_simdgroup_barrier(uint32_t mem_flags, uint32_t site);
// Where the threadgroup variable `variable` is in this mode; `laid_out` is where it is otherwise.
void* msl_check_variable(void* laid_out, uint32_t variable);
}

namespace msl {

class Check {
 public:
  // Copies every bound buffer to a place of its own. Throws std::runtime_error where there is no memory for that.
  Check(const msl_kernel& kernel, const msl_launch& launch);
  Check(const Check&) = delete;
  Check& operator=(const Check&) = delete;
  ~Check();

  // The launch with the addresses of the copies.
  const msl_launch& launch() const { return launch_; }
  void* threadgroup_argument(int index) const { return arguments_[static_cast<std::size_t>(index)]; }
  void* variable(std::uint32_t index) const { return variables_[index]; }

  // --- told by the core ---
  void begin_threadgroup();
  // Every thread that has not ended waits at the barrier that `waiting` waits at; `ended` has ended, or is null.
  void open_barrier(const msl_thread& waiting, const msl_thread* ended);
  // The two wait at different barriers.
  void report_divergence(const msl_thread& one, const msl_thread& another);

  // --- told by the kernel ---
  void arrive_at_barrier(const msl_thread& thread, std::uint32_t mem_flags, std::uint32_t site);
  void arrive_at_simdgroup_barrier(const msl_thread& thread, std::uint32_t mem_flags);
  // False if the access must not happen.
  bool access(const msl_thread& thread, char* address, std::uint64_t size, std::uint32_t flags, std::uint32_t site);
  bool constant_access(const msl_thread& thread, const char* address, std::uint64_t size, std::uint32_t object,
                       std::uint32_t site);

  // Copies what was written back. Returns what was found, `error` (what else went wrong) among it, or an empty string.
  std::string finish(const std::string& error);

 private:
  // A bound allocation (several bindings may lie in one), or a piece of threadgroup memory.
  struct Object {
    Object(std::uint32_t slot, std::uint64_t bytes, char* original);
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;
    ~Object();
    bool is_threadgroup() const { return original == nullptr; }

    std::uint32_t slot;
    std::uint64_t size;
    char* original;  // the allocation that this is a copy of
    std::uint64_t phase;
    char* begin;
    std::string name;                   // of threadgroup memory
    std::vector<std::uint8_t> written;  // of threadgroup memory: one for each byte
    std::uint64_t dirty_begin = UINT64_MAX, dirty_end = 0;
    Shadow shadow;
  };

  struct Finding {
    std::string key, text;
    std::uint64_t count;
  };

  struct Arrival {
    std::uint32_t mem_flags, site;
  };

  void copy_buffers(const msl_launch& launch);
  void place_threadgroup_memory(const msl_launch& launch);
  void* add_threadgroup_memory(std::string name, std::uint64_t size);
  Object& add(std::uint64_t size, char* original);

  void check_written(const msl_thread& thread, Object& object, std::uint64_t offset, std::uint64_t size,
                     std::uint32_t flags, std::uint32_t site);
  void check_order(const msl_thread& thread, Object& object, std::uint64_t offset, std::uint64_t size,
                   std::uint32_t flags, std::uint32_t site);
  void report_race(const msl_thread& thread, const Object& object, std::uint64_t offset, std::uint64_t size,
                   AccessKind kind, const Access& now, const Access& before, bool before_writes);
  void report_uninitialised(const msl_thread& thread, const Object& object, std::uint64_t offset, std::uint64_t size,
                            std::uint32_t site);
  bool outside(const msl_thread& thread, const Object* object, const char* address, std::uint64_t size,
               std::uint32_t flags, std::uint32_t site);
  bool in_constants(const char* address, std::uint64_t size) const;

  // The finding of that key if there was one, else a new one without a text; null where no more are kept.
  Finding* find(const std::string& key, bool& is_new);
  void watch(const Finding& finding, const char* address, std::uint64_t size);
  void resolve_watch();

  std::string site(std::uint32_t site) const;
  std::string bytes_of(const Object& object, std::int64_t offset, std::uint64_t size) const;
  std::string thread_name(const msl_thread& thread) const;
  std::string thread_name(std::uint32_t epoch, std::uint32_t thread) const;

  static constexpr std::size_t kMaxFindings = 8;
  static constexpr std::size_t kWatchedBytes = 64;

  std::unique_lock<std::mutex> lock_;  // there is one arena
  const msl_kernel& kernel_;
  const msl_check_table& table_;
  msl_launch launch_;
  std::deque<Object> objects_;
  std::array<Object*, CheckArena::kSlots> by_slot_{};
  std::array<void*, MSL_MAX_THREADGROUP_ARGUMENTS> arguments_{};
  std::vector<void*> variables_;

  std::uint32_t clock_ = 0;
  std::uint32_t device_epoch_ = 0, threadgroup_epoch_ = 0;
  std::vector<std::uint32_t> group_epochs_;  // when each threadgroup began
  std::array<std::uint16_t, MSL_MAX_THREADS_PER_THREADGROUP> device_barriers_{}, threadgroup_barriers_{};
  std::array<Arrival, MSL_MAX_THREADS_PER_THREADGROUP> arrivals_{};

  std::vector<Finding> findings_;
  std::uint64_t other_findings_ = 0;
  // A write that is in conflict with another: whether it changes anything is seen when it has happened.
  std::size_t watched_finding_ = 0;
  const char* watched_ = nullptr;
  std::uint64_t watched_size_ = 0;
  std::array<char, kWatchedBytes> watched_bytes_{};
};

}  // namespace msl
