// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Dispatches: checks a grid, and spreads its threadgroups over the machine's cores.

#include <xmmintrin.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "kernel_abi.h"
#include "threadgroup.h"

namespace msl {
namespace {

// Metal flushes denormal floats to zero, operands and results. (Half denormals are kept: half arithmetic is done in
// float, where they are normal numbers.)
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned before_;
};

// One dispatch. Cores take threadgroups in runs until none is left or one has failed.
class Job {
 public:
  Job(const Grid& grid, std::uint64_t count, std::uint64_t run) : grid_(grid), count_(count), run_(run) {}

  void work() {
    thread_local std::unique_ptr<Core> core;
    const FlushDenormals flush;
    try {
      if (!core) {
        core = std::make_unique<Core>();
      }
      core->prepare(grid_);
      for (;;) {
        const std::uint64_t first = next_.fetch_add(run_);
        if (first >= count_ || failed_.load(std::memory_order_relaxed)) {
          return;
        }
        for (std::uint64_t index = first; index < std::min(first + run_, count_); ++index) {
          if (!core->run(index)) {
            return fail(core->error());
          }
        }
      }
    } catch (const std::exception& error) {
      Core::running = nullptr;
      fail(std::string("the runtime ran out of something: ") + error.what());
    }
  }

  void fail(const std::string& error) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) {
      error_ = error;
    }
  }

  // Only after all work has ended.
  const std::string& error() const { return error_; }

  // How many helpers are at work; guarded by the pool's mutex.
  int helpers = 0;

 private:
  const Grid& grid_;
  const std::uint64_t count_;
  const std::uint64_t run_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::string error_;
};

// Operating-system threads that help the thread that dispatches. The dispatching thread always works itself, so a
// dispatch ends even if no helper ever comes (after a fork there is none).
class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = new Pool();  // never destroyed: its threads outlive static destruction
    return *pool;
  }

  void run(Job& job, std::uint32_t helpers_wanted) {
    if (helpers_wanted > 0) {
      offer(job, helpers_wanted);
    }
    job.work();
    if (helpers_wanted > 0) {
      withdraw(job);
    }
  }

  std::uint32_t cores() const { return cores_.load(std::memory_order_relaxed); }
  void set_cores(std::uint32_t cores) { cores_ = cores == 0 ? all_cores() : cores; }

 private:
  Pool() { set_cores(from_environment()); }

  static std::uint32_t all_cores() { return std::max(1u, std::thread::hardware_concurrency()); }

  static std::uint32_t from_environment() {
    const char* text = std::getenv("STEEL_PORT_METAL_CORES");
    return text == nullptr ? 0 : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
  }

  void offer(Job& job, std::uint32_t wanted) {
    const std::lock_guard lock(mutex_);
    while (threads_ < wanted) {
      std::thread([this] { help(); }).detach();
      ++threads_;
    }
    offers_.insert(offers_.end(), wanted, &job);
    wake_.notify_all();
  }

  void withdraw(Job& job) {
    std::unique_lock lock(mutex_);
    offers_.erase(std::remove(offers_.begin(), offers_.end(), &job), offers_.end());
    idle_.wait(lock, [&job] { return job.helpers == 0; });
  }

  void help() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return !offers_.empty(); });
      Job& job = *offers_.front();
      offers_.pop_front();
      ++job.helpers;
      lock.unlock();
      job.work();
      lock.lock();
      --job.helpers;
      idle_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Job*> offers_;
  std::uint32_t threads_ = 0;
  std::atomic<std::uint32_t> cores_{1};
};

// What is wrong with the sizes of a grid, or an empty string.
std::string check_sizes(const msl_kernel& kernel, const msl_launch& launch) {
  std::uint64_t size = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const std::uint64_t group = launch.group[axis], threads = launch.threads[axis];
    const std::string name(1, "xyz"[axis]);
    if (group == 0 || group > MSL_MAX_THREADS_PER_THREADGROUP) {
      return "the threadgroup's " + name + " is " + std::to_string(group) + ", expected 1.." +
             std::to_string(MSL_MAX_THREADS_PER_THREADGROUP);
    }
    if (threads == 0 || threads > UINT32_MAX) {
      return "the grid's " + name + " is " + std::to_string(threads) + ", expected 1.." + std::to_string(UINT32_MAX);
    }
    size *= group;
  }
  if (size > kernel.max_threads) {
    return "the threadgroup has " + std::to_string(size) + " threads, more than the kernel's limit of " +
           std::to_string(kernel.max_threads);
  }
  return {};
}

std::string check_memory(const msl_kernel& kernel, const msl_launch& launch) {
  std::uint64_t memory = kernel.threadgroup_memory;
  for (const std::uint64_t length : launch.threadgroup_lengths) {
    if (length > kMaxThreadgroupMemory) {
      memory = length;
      break;
    }
    if (length > 0) {
      memory = threadgroup_argument_place(static_cast<std::uint32_t>(memory)) + length;
    }
  }
  if (memory > kMaxThreadgroupMemory) {
    return "needs " + std::to_string(memory) + " bytes of threadgroup memory, more than the " +
           std::to_string(kMaxThreadgroupMemory) + " there are";
  }
  return {};
}

std::string check_arguments(const msl_kernel& kernel, const msl_launch& launch) {
  for (std::uint32_t i = 0; i < kernel.argument_count; ++i) {
    const msl_argument& argument = kernel.arguments[i];
    const std::string slot = std::to_string(argument.slot) + ")]]";
    if (std::strcmp(argument.address_space, "threadgroup") == 0) {
      if (launch.threadgroup_lengths[argument.slot] == 0) {
        return std::string("argument ") + argument.name + " [[threadgroup(" + slot + " was given no memory";
      }
    } else if (launch.buffers[argument.slot].address == nullptr) {
      return std::string("argument ") + argument.name + " [[buffer(" + slot + " is not bound";
    }
  }
  return {};
}

// In sanitizer mode threadgroups run in order, on the core of the thread that dispatches.
std::string run_checked(Grid& grid, std::uint64_t count) {
  Check check(*grid.kernel, *grid.launch);
  grid.launch = &check.launch();
  grid.check = &check;
  Job job(grid, count, 1);
  job.work();
  return check.finish(job.error());
}

std::string run(const msl_kernel& kernel, const msl_launch& launch) {
  Grid grid{&kernel, &launch, {}, {}, {}};
  std::uint64_t count = 1;
  for (int axis = 0; axis < 3; ++axis) {
    grid.threads[axis] = static_cast<std::uint32_t>(launch.threads[axis]);
    grid.group[axis] = static_cast<std::uint32_t>(launch.group[axis]);
    grid.groups[axis] = static_cast<std::uint32_t>((launch.threads[axis] + launch.group[axis] - 1) / launch.group[axis]);
    count *= grid.groups[axis];
  }
  if (kernel.check != nullptr) {
    return run_checked(grid, count);
  }
  // Small threadgroups of cheap kernels are taken several at a time, but every core gets some.
  const std::uint64_t cores = Pool::instance().cores();
  const std::uint64_t run = std::clamp<std::uint64_t>(count / (cores * 8), 1, 64);
  const std::uint64_t useful = std::min(cores, (count + run - 1) / run);
  Job job(grid, count, run);
  Pool::instance().run(job, static_cast<std::uint32_t>(useful - 1));
  return job.error();
}

std::string dispatch(const msl_kernel& kernel, const msl_launch& launch) {
  std::string error = check_sizes(kernel, launch);
  if (error.empty()) {
    error = check_memory(kernel, launch);
  }
  if (error.empty()) {
    error = check_arguments(kernel, launch);
  }
  if (error.empty()) {
    error = run(kernel, launch);
  }
  return error.empty() ? error : std::string("kernel ") + kernel.host_name + ": " + error;
}

}  // namespace
}  // namespace msl

extern "C" {

int msl_dispatch(const msl_kernel* kernel, const msl_launch* launch, char* error, uint64_t error_size) {
  std::string message;
  if (msl::Core::running != nullptr) {
    message = "a kernel cannot dispatch a kernel";
  } else {
    try {
      message = msl::dispatch(*kernel, *launch);
    } catch (const std::exception& exception) {
      message = std::string("the runtime failed: ") + exception.what();
    }
  }
  if (message.empty()) {
    return 0;
  }
  std::snprintf(error, error_size, "%s", message.c_str());
  return 1;
}

void msl_set_cores(uint32_t cores) { msl::Pool::instance().set_cores(cores); }
}
