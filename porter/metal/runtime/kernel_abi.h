// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What compiled kernels, whoever launches them and the runtime agree on (porter/metal/execution.py fills the records).
// Plain C types only: kernels are built by another compiler.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MSL_ABI_VERSION = 2 };

// Metal 3 binds buffers 0..30 (Metal Feature Set Tables, "Maximum number of entries in the buffer argument table").
// and as many threadgroup arguments ("... threadgroup memory argument table").
enum {
  MSL_MAX_BUFFERS = 31,
  MSL_MAX_THREADGROUP_ARGUMENTS = 31,
  MSL_SIMD_WIDTH = 32,
  MSL_MAX_THREADS_PER_THREADGROUP = 1024
};

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

// `buffers[slot]` is the address bound to [[buffer(slot)]], `buffers[MSL_MAX_BUFFERS + index]` that of the memory of
// [[threadgroup(index)]]; `threadgroup` is this threadgroup's memory, `thread` this thread's place. Runs one GPU thread
// from its first to its last statement.
typedef void (*msl_entry)(void* const* buffers, char* threadgroup, const msl_thread* thread);

// The same for `count` threads that follow each other along x, the first of which is at `first`.
typedef void (*msl_row)(void* const* buffers, char* threadgroup, const msl_thread* first, uint32_t count);

typedef struct msl_argument {
  const char* name;
  const char* type;           // as written, for messages
  const char* address_space;  // "device", "constant", "threadgroup"
  uint32_t slot;              // of a buffer, or of threadgroup memory whose size the host sets
  uint32_t pointee_size;      // bytes; 0 where unknown
  uint32_t is_const;
} msl_argument;

typedef struct msl_kernel {
  const char* host_name;
  msl_entry entry;
  msl_row row;                  // null where threads wait for each other
  uint32_t max_threads;         // [[max_total_threads_per_threadgroup]], or MSL_MAX_THREADS_PER_THREADGROUP
  uint32_t threadgroup_memory;  // bytes of static threadgroup memory
  uint32_t needs_fibers;        // 0: no barrier and no simdgroup operation is reachable
  uint32_t argument_count;      // buffers and threadgroup arguments
  const msl_argument* arguments;
  const void* check;  // what the sanitizer needs to know (check.h); null where the kernel was compiled without it
} msl_kernel;

// A bound buffer: `size` bytes from `address` to the end of its allocation, and `before` bytes of the same allocation in
// front of it. An unbound slot is null.
typedef struct msl_binding {
  void* address;
  uint64_t size;
  uint64_t before;
} msl_binding;

// One dispatch, as Metal's dispatchThreads:threadsPerThreadgroup: (edge threadgroups may be smaller).
typedef struct msl_launch {
  msl_binding buffers[MSL_MAX_BUFFERS];
  uint64_t threadgroup_lengths[MSL_MAX_THREADGROUP_ARGUMENTS];  // bytes of each threadgroup argument
  uint64_t threads[3];
  uint64_t group[3];
} msl_launch;

// The runtime's own entry point (libmsl_runtime.so). Runs `kernel`. Returns 0, or writes one sentence to `error` and
// returns nonzero. Blocks until every thread has ended. Safe to call from several threads at once.
int msl_dispatch(const msl_kernel* kernel, const msl_launch* launch, char* error, uint64_t error_size);

// How many cores later dispatches of this process use; 0 means all. The environment variable STEEL_PORT_METAL_CORES
// says it at the start.
void msl_set_cores(uint32_t cores);

#ifdef __cplusplus
}
#endif
