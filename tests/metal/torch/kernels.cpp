// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Kernels by hand, so that the device is tested without a Metal compiler.
#include <cstring>

#include "kernel_abi.h"

namespace {

struct ScaleParams {
  float factor;
  uint32_t count;
};

// out[i] = factor * in[i]
void scale(void* const* buffers, char*, const msl_thread* thread) {
  const auto* in = static_cast<const float*>(buffers[0]);
  auto* out = static_cast<float*>(buffers[1]);
  ScaleParams params;
  std::memcpy(&params, buffers[2], sizeof params);
  const uint32_t index = thread->thread_position_in_grid[0];
  if (index < params.count) {
    out[index] = params.factor * in[index];
  }
}

// Each thread adds one to its own cell of a 3-d grid: out[z][y][x] += 1 + 10 * (threads in its threadgroup)
void count(void* const* buffers, char*, const msl_thread* thread) {
  auto* out = static_cast<int32_t*>(buffers[0]);
  const uint32_t* at = thread->thread_position_in_grid;
  const uint32_t* size = thread->threads_per_grid;
  const uint32_t* group = thread->dispatch_threads_per_threadgroup;
  out[(at[2] * size[1] + at[1]) * size[0] + at[0]] += 1 + 10 * static_cast<int32_t>(group[0] * group[1] * group[2]);
}

// out[0] = *value, whatever was passed by value
void store(void* const* buffers, char*, const msl_thread*) { std::memcpy(buffers[0], buffers[1], sizeof(float)); }

// count++
void bump(void* const* buffers, char*, const msl_thread*) { ++*static_cast<int32_t*>(buffers[0]); }

void nothing(void* const*, char*, const msl_thread*) {}

constexpr msl_argument scale_arguments[] = {
    {"in", "float", "device", 0, 4, 1},
    {"out", "float", "device", 1, 4, 0},
    {"params", "ScaleParams", "constant", 2, sizeof(ScaleParams), 1},
};
constexpr msl_argument count_arguments[] = {{"out", "int", "device", 0, 4, 0}};
constexpr msl_argument store_arguments[] = {{"out", "float", "device", 0, 4, 0}, {"value", "float", "constant", 1, 4, 1}};
constexpr msl_argument halves_arguments[] = {{"table", "half", "constant", 0, 2, 1}};
constexpr msl_argument dynamic_arguments[] = {{"scratch", "float", "threadgroup", 0, 4, 0}};

constexpr uint32_t kAll = MSL_MAX_THREADS_PER_THREADGROUP;
constexpr msl_kernel kernels[] = {
    {"scale", scale, nullptr, kAll, 0, 1, 3, scale_arguments, nullptr},
    {"count", count, nullptr, 64, 0, 1, 1, count_arguments, nullptr},
    {"store", store, nullptr, kAll, 16, 1, 2, store_arguments, nullptr},
    {"bump", bump, nullptr, kAll, 0, 1, 1, count_arguments, nullptr},
    {"halves", nothing, nullptr, kAll, 0, 1, 1, halves_arguments, nullptr},
    {"nothing", nothing, nullptr, kAll, 0, 1, 0, nullptr, nullptr},
    {"dynamic", nothing, nullptr, kAll, 0, 1, 1, dynamic_arguments, nullptr},
    {"greedy", nothing, nullptr, kAll, 32769, 1, 0, nullptr, nullptr},
};

}  // namespace

// The kernel of that number, or null past the last.
extern "C" const msl_kernel* porter_test_kernel(uint32_t index) {
  return index < sizeof kernels / sizeof *kernels ? &kernels[index] : nullptr;
}

extern "C" const char* porter_test_kernel_name(uint32_t index) { return kernels[index].host_name; }
