// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What a running kernel asks of the runtime. The shim headers (porter/metal/msl) call these; a kernel's author does not.
//
// Operations among lanes work by rendezvous: the lanes of a simdgroup that arrive at one call site are one group, and
// the operation is done for the group when no lane of the simdgroup can run any further. So divergent lanes, exited lanes
// and simdgroups with fewer than 32 threads are what they are on a GPU: the inactive lanes are not in the group.
#pragma once

#include <stdint.h>

#ifdef __clang__
// Lanes that run a call together must still run it together after optimisation, and those at two calls must not.
#define MSL_CONVERGENT __attribute__((convergent, nomerge))
#else
#define MSL_CONVERGENT
#endif

#ifdef __cplusplus
extern "C" {
#endif

// `lanes[i]` is the payload of lane i, or null where lane i is not in the group; bit i of `active` says the same.
typedef void (*msl_lane_operation)(void* const* lanes, uint32_t active);

// Waits for every thread of the threadgroup that has not ended. It is an error if two of them wait at different calls.
// Of both barriers, `mem_flags` (MSL's) matters in sanitizer mode only: here every barrier orders all memory.
MSL_CONVERGENT void msl_threadgroup_barrier(uint32_t mem_flags);

// Runs `operation` once for the group of lanes that arrive at this call.
MSL_CONVERGENT void msl_simdgroup_meet(msl_lane_operation operation, void* payload);

MSL_CONVERGENT void msl_simdgroup_barrier(uint32_t mem_flags);

// The index of this thread in its simdgroup.
__attribute__((const)) uint32_t msl_lane_index(void);

// This threadgroup's memory, for code that is not inlined into the entry that has it as an argument.
__attribute__((const)) char* msl_threadgroup_memory(void);

// --- 8 x 8 matrix products ---
//
// The shim's source calls msl_matrix_multiply_accumulate, a pure function of this lane's two elements of each matrix.
// No such function exists: porter/metal/lowering.py turns all products of one basic block that do not wait for anything
// else into one msl_matrix_run. All lanes that reach a basic block run all of it, so that changes nothing but the number
// of times the lanes meet.

#ifdef __clang__
typedef float msl_lane_elements __attribute__((ext_vector_type(2)));
__attribute__((const)) MSL_CONVERGENT msl_lane_elements msl_matrix_multiply_accumulate(msl_lane_elements a,
                                                                                       msl_lane_elements b,
                                                                                       msl_lane_elements c);
#endif

// A slot is a row-major 8 x 8 matrix of floats. Slot d becomes slot a times slot b plus slot c; d may be c, and no other
// two may be one. For each element the sum begins with c and takes k = 0..7 in order, each by a fused multiply-add.
typedef struct msl_matrix_product {
  uint16_t d, a, b, c;
} msl_matrix_product;

typedef struct msl_matrix_batch {
  uint32_t count;
  const msl_matrix_product* products;
} msl_matrix_batch;

enum { MSL_MATRIX_SLOTS = 512, MSL_MATRIX_SLOT_BYTES = 8 * 8 * 4 };

// Where this lane's two elements of slot 0 are; those of slot n are n * MSL_MATRIX_SLOT_BYTES further on.
__attribute__((const)) void* msl_matrix_elements(void);

// Runs the products in order. All 32 lanes must arrive; fewer is an error, as it is undefined in Metal.
MSL_CONVERGENT void msl_matrix_run(const msl_matrix_batch* batch);

#ifdef __cplusplus
}
#endif
