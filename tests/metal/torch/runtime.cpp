// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// msl_dispatch at its smallest: one thread after the other. For kernels without barriers and simdgroup operations.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "kernel_abi.h"

extern "C" int msl_dispatch(const msl_kernel* kernel, void* const* buffers, const uint64_t threads[3],
                            const uint64_t group[3], char* error, uint64_t error_size) {
  if (kernel->needs_fibers != 0) {
    std::snprintf(error, error_size, "%s needs fibers", kernel->host_name);
    return 1;
  }
  std::vector<char> memory(kernel->threadgroup_memory);
  msl_thread thread{};
  for (int axis = 0; axis < 3; ++axis) {
    thread.threads_per_grid[axis] = static_cast<uint32_t>(threads[axis]);
    thread.dispatch_threads_per_threadgroup[axis] = static_cast<uint32_t>(group[axis]);
  }
  auto* at = thread.thread_position_in_grid;
  for (at[2] = 0; at[2] < threads[2]; ++at[2]) {
    for (at[1] = 0; at[1] < threads[1]; ++at[1]) {
      for (at[0] = 0; at[0] < threads[0]; ++at[0]) {
        kernel->entry(buffers, memory.data(), &thread);
      }
    }
  }
  return 0;
}
