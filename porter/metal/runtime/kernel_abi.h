// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What a compiled kernel module and the runtime agree on. A module is a shared object that exports one symbol,
// `msl_module`; the runtime reads it and nothing else. Plain C types only: the module is built by another compiler.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MSL_ABI_VERSION = 1 };

// Metal 3 binds buffers 0..30 (Metal Feature Set Tables, "Maximum number of entries in the buffer argument table").
enum { MSL_MAX_BUFFERS = 31, MSL_SIMD_WIDTH = 32, MSL_MAX_THREADS_PER_THREADGROUP = 1024 };

// Everything a thread may ask about its own place. Three-component values are x, y, z.
typedef struct msl_thread {
  uint32_t thread_position_in_grid[3];
  uint32_t threadgroup_position_in_grid[3];
  uint32_t thread_position_in_threadgroup[3];
  uint32_t threads_per_grid[3];
  uint32_t threads_per_threadgroup[3];  // of this threadgroup: smaller at the edge of a grid that is not a multiple
  uint32_t dispatch_threads_per_threadgroup[3];
  uint32_t threadgroups_per_grid[3];
  uint32_t thread_index_in_threadgroup;
  uint32_t thread_index_in_simdgroup;
  uint32_t simdgroup_index_in_threadgroup;
  uint32_t thread_index_in_quadgroup;
  uint32_t quadgroup_index_in_threadgroup;
  uint32_t threads_per_simdgroup;
  uint32_t simdgroups_per_threadgroup;
} msl_thread;

// `buffers[slot]` is the address bound to [[buffer(slot)]]; `threadgroup` is this threadgroup's memory, `thread` this
// thread's place. Runs one GPU thread from its first to its last statement.
typedef void (*msl_entry)(void* const* buffers, char* threadgroup, const msl_thread* thread);

typedef struct msl_argument {
  const char* name;
  const char* type;           // as written, for messages
  const char* address_space;  // "device", "constant", "threadgroup"
  uint32_t slot;
  uint32_t pointee_size;  // bytes; 0 where unknown
  uint32_t is_const;
} msl_argument;

typedef struct msl_kernel {
  const char* host_name;
  msl_entry entry;
  uint32_t max_threads;         // [[max_total_threads_per_threadgroup]], or MSL_MAX_THREADS_PER_THREADGROUP
  uint32_t threadgroup_memory;  // bytes of static threadgroup memory
  uint32_t needs_fibers;        // 0: no barrier and no simdgroup operation is reachable
  uint32_t argument_count;      // buffers only
  const msl_argument* arguments;
} msl_kernel;

typedef struct msl_module_info {
  uint32_t abi_version;
  uint32_t kernel_count;
  const msl_kernel* kernels;
} msl_module_info;

// The one symbol of a module:
//   extern "C" const msl_module_info msl_module;

// The runtime's own entry point (libmsl_runtime.so). Runs `kernel` over a grid of `threads` threads in threadgroups of
// `group`, as Metal's dispatchThreads:threadsPerThreadgroup: does (edge threadgroups may be smaller). `buffers` has
// MSL_MAX_BUFFERS entries; an unbound slot is null. Returns 0, or writes one sentence to `error` and returns nonzero.
// Blocks until every thread has ended. Safe to call from several threads at once.
int msl_dispatch(const msl_kernel* kernel, void* const* buffers, const uint64_t threads[3], const uint64_t group[3],
                 char* error, uint64_t error_size);

// How many cores later dispatches of this process use; 0 means all. The environment variable STEEL_PORT_METAL_CORES
// says it at the start.
void msl_set_cores(uint32_t cores);

#ifdef __cplusplus
}
#endif
