// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// A fiber is a stack and the stack pointer at which it was left. Switching costs a few nanoseconds: it saves what the
// calling convention says a callee keeps, and nothing else. The floating-point environment is one per core, not per fiber.
#pragma once

#include <cstdint>

#ifndef __x86_64__
#error "the Metal runtime switches fibers on x86_64 only so far"
#endif

namespace msl {

// Leaves the running fiber, whose stack pointer is stored to *from, and continues the one left at `to`.
extern "C" void msl_switch_stack(void** from, void* to);

// What a new fiber's stack must hold so that the first switch to it calls `start`. `top` must be 16-byte aligned.
inline void* new_fiber(char* top, void (*start)()) {
  auto* slots = reinterpret_cast<void**>(top);
  *--slots = nullptr;  // where a return address of `start` would be: aligns the stack as a call does
  *--slots = reinterpret_cast<void*>(start);
  for (int saved_register = 0; saved_register < 6; ++saved_register) {
    *--slots = nullptr;
  }
  return slots;
}

}  // namespace msl
