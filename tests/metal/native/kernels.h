// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Kernels written by hand against kernel_abi.h, as a loader would make them, so that the runtime runs under a sanitizer
// together with code that the sanitizer sees into.
#pragma once

#include <cstdint>

#include "kernel_abi.h"
#include "kernel_operations.h"

namespace native {

using Buffers = void* const*;

inline float* floats(Buffers buffers, int slot) { return static_cast<float*>(buffers[slot]); }
inline std::uint32_t* words(Buffers buffers, int slot) { return static_cast<std::uint32_t*>(buffers[slot]); }

// buffer 1 [i] = 2 * buffer 0 [i], a row at a time.
inline void doubled(Buffers buffers, char*, const msl_thread* first, std::uint32_t count) {
  const std::uint32_t* position = first->thread_position_in_grid;
  const std::uint64_t start = std::uint64_t{position[1]} * first->threads_per_grid[0] + position[0];
  for (std::uint64_t i = start; i < start + count; ++i) {
    floats(buffers, 1)[i] = 2 * floats(buffers, 0)[i];
  }
}

// Each threadgroup turns its part of buffer 0 round, through its memory.
inline void reversed(Buffers buffers, char* memory, const msl_thread* here) {
  auto* tile = reinterpret_cast<float*>(memory);
  const std::uint32_t i = here->thread_index_in_threadgroup, count = here->threads_per_threadgroup[0];
  float* part = floats(buffers, 0) + std::uint64_t{here->threadgroup_position_in_grid[0]} *
                                         here->dispatch_threads_per_threadgroup[0];
  tile[i] = part[i];
  msl_threadgroup_barrier(3);
  part[i] = tile[count - 1 - i];
}

// The same through [[threadgroup(2)]], whose size the host sets.
inline void reversed_dynamic(Buffers buffers, char*, const msl_thread* here) {
  reversed(buffers, static_cast<char*>(buffers[MSL_MAX_BUFFERS + 2]), here);
}

inline void sum_of_lanes(void* const* lanes, std::uint32_t active) {
  std::uint32_t sum = 0;
  for (int lane = 0; lane < MSL_SIMD_WIDTH; ++lane) {
    sum += (active >> lane & 1) != 0 ? *static_cast<std::uint32_t*>(lanes[lane]) : 0;
  }
  for (int lane = 0; lane < MSL_SIMD_WIDTH; ++lane) {
    if ((active >> lane & 1) != 0) {
      *static_cast<std::uint32_t*>(lanes[lane]) = sum;
    }
  }
}

// buffer 0 [i] becomes the sum over the simdgroup of i + 1, of the lanes that take the same way: odd threads and even ones
// meet at two calls, and every fifth thread has ended before.
inline void summed(Buffers buffers, char*, const msl_thread* here) {
  const std::uint32_t i = here->thread_position_in_grid[0];
  if (here->thread_index_in_threadgroup % 5 == 4) {
    return;
  }
  std::uint32_t value = here->thread_index_in_threadgroup + 1;
  if (here->thread_index_in_threadgroup % 2 != 0) {
    msl_simdgroup_meet(sum_of_lanes, &value);
  } else {
    msl_simdgroup_meet(sum_of_lanes, &value);
  }
  msl_simdgroup_barrier(3);
  words(buffers, 0)[i] = value;
}

// Counts threads with an atomic in buffer 0, in rounds between barriers; odd threads end after the first.
inline void counted(Buffers buffers, char* memory, const msl_thread* here) {
  auto* local = reinterpret_cast<std::uint32_t*>(memory);
  if (here->thread_index_in_threadgroup == 0) {
    *local = 0;
  }
  msl_threadgroup_barrier(3);
  __atomic_fetch_add(local, 1, __ATOMIC_RELAXED);
  if (here->thread_index_in_threadgroup % 2 != 0) {
    return;
  }
  msl_threadgroup_barrier(3);
  if (here->thread_index_in_threadgroup == 0) {
    __atomic_fetch_add(words(buffers, 0), *local, __ATOMIC_RELAXED);
  }
}

// 8 x 8 product of two matrices: slot 2 = slot 0 x slot 1 + slot 2, read from and written to buffers 0, 1 and 2.
inline void multiplied(Buffers buffers, char*, const msl_thread* here) {
  static const msl_matrix_product products[] = {{2, 0, 1, 2}};
  static const msl_matrix_batch batch = {1, products};
  const std::uint32_t lane = here->thread_index_in_simdgroup, q = lane / 4;
  const std::uint32_t element = ((q & 4) + lane / 2 % 4) * 8 + (q & 2) * 2 + lane % 2 * 2;
  auto* own = static_cast<char*>(msl_matrix_elements());
  for (int slot = 0; slot < 3; ++slot) {
    auto* two = reinterpret_cast<float*>(own + slot * MSL_MATRIX_SLOT_BYTES);
    for (int k = 0; k < 2; ++k) {
      two[k] = floats(buffers, slot)[element + static_cast<std::uint32_t>(k)];
    }
  }
  msl_matrix_run(&batch);
  const auto* two = reinterpret_cast<const float*>(own + 2 * MSL_MATRIX_SLOT_BYTES);
  for (int k = 0; k < 2; ++k) {
    floats(buffers, 2)[element + static_cast<std::uint32_t>(k)] = two[k];
  }
}

// Threadgroup 3 waits at two barriers at once, which the runtime refuses while its threads are in the middle.
inline void divergent(Buffers buffers, char*, const msl_thread* here) {
  volatile float frame[64];  // what must not hurt whoever has this stack next
  frame[here->thread_index_in_simdgroup] = 1;
  if (here->threadgroup_position_in_grid[0] == 3 && here->thread_index_in_threadgroup % 2 != 0) {
    msl_threadgroup_barrier(3);
    words(buffers, 0)[0] = static_cast<std::uint32_t>(frame[0]) + 1;  // never
  } else {
    msl_threadgroup_barrier(3);
  }
}

// --- planted faults: a sanitizer must find each ---

// Every threadgroup writes buffer 0 [0], in its own way.
inline void racing(Buffers buffers, char*, const msl_thread* here) {
  msl_threadgroup_barrier(3);
  if (here->thread_index_in_threadgroup == 0) {
    words(buffers, 0)[0] = here->threadgroup_position_in_grid[0];
  }
}

// Writes one element too far, from a fiber.
inline void overflowing(Buffers buffers, char*, const msl_thread* here) {
  msl_threadgroup_barrier(3);
  floats(buffers, 0)[here->thread_position_in_grid[0] + 1] = 1;
}

// Overflows a local array, on a fiber's stack.
inline void smashing(Buffers buffers, char*, const msl_thread* here) {
  volatile float frame[8] = {};
  msl_threadgroup_barrier(3);
  frame[here->thread_index_in_threadgroup] = 1;
  floats(buffers, 0)[here->thread_index_in_threadgroup] = frame[0];
}

// Signed overflow.
inline void undefined(Buffers buffers, char*, const msl_thread* here) {
  const auto large = static_cast<std::int32_t>(words(buffers, 0)[0]);
  words(buffers, 0)[here->thread_index_in_threadgroup] = static_cast<std::uint32_t>(large + 0x7fffffff);
}

}  // namespace native
