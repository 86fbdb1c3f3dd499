// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// A fiber is a stack and the stack pointer at which it was left. Switching costs a few nanoseconds: it saves what the
// calling convention says a callee keeps, and nothing else. The floating-point environment is one per core, not per fiber.
//
// ThreadSanitizer and AddressSanitizer follow stacks, so in their builds (tests/metal/native) each switch is told to them.
#pragma once

#include <cstddef>
#include <cstdint>

#ifndef __x86_64__
#error "the Metal runtime switches fibers on x86_64 only so far"
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MSL_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define MSL_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MSL_ADDRESS_SANITIZER 1
#endif
#ifdef __SANITIZE_THREAD__
#define MSL_THREAD_SANITIZER 1
#endif

#ifdef MSL_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MSL_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace msl {

// Leaves the running fiber, whose stack pointer is stored to *from, and continues the one left at `to`.
extern "C" void msl_switch_stack(void** from, void* to);

// One of the fibers of an operating-system thread. The thread's own stack is one too, which nobody starts.
struct Fiber {
  void* stack_pointer;
#ifdef MSL_ADDRESS_SANITIZER
  void* fake_stack;
  const void* bottom;
  std::size_t size;
#endif
#ifdef MSL_THREAD_SANITIZER
  void* shadow;
#endif
};

#ifdef MSL_ADDRESS_SANITIZER
inline thread_local Fiber* left_fiber = nullptr;  // the one that was switched from last
#endif

// Makes the first switch to `fiber` call `start`, on the stack of `size` bytes below `top`, which is 16-byte aligned.
inline void start_fiber(Fiber& fiber, char* top, [[maybe_unused]] std::size_t size, void (*start)()) {
#ifdef MSL_ADDRESS_SANITIZER
  fiber.fake_stack = nullptr;
  fiber.bottom = top - size;
  fiber.size = size;
  __asan_unpoison_memory_region(top - size, size);  // frames of a fiber that was not continued
#endif
#ifdef MSL_THREAD_SANITIZER
  fiber.shadow = __tsan_create_fiber(0);
#endif
  auto* slots = reinterpret_cast<void**>(top);
  *--slots = nullptr;  // where a return address of `start` would be: aligns the stack as a call does
  *--slots = reinterpret_cast<void*>(start);
  for (int saved_register = 0; saved_register < 6; ++saved_register) {
    *--slots = nullptr;
  }
  fiber.stack_pointer = slots;
}

// `start` calls this first, with its own fiber.
inline void fiber_entered([[maybe_unused]] Fiber& fiber) {
#ifdef MSL_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(fiber.fake_stack, &left_fiber->bottom, &left_fiber->size);
#endif
}

// Leaves `from`, which is running, for `to`; returns when something switches to `from`.
inline void switch_fiber(Fiber& from, Fiber& to) {
#ifdef MSL_ADDRESS_SANITIZER
  left_fiber = &from;
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
#ifdef MSL_THREAD_SANITIZER
  from.shadow = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.shadow, 0);
#endif
  msl_switch_stack(&from.stack_pointer, to.stack_pointer);
  fiber_entered(from);
}

// `fiber` was started and will not be switched to again.
inline void end_fiber([[maybe_unused]] Fiber& fiber) {
#ifdef MSL_THREAD_SANITIZER
  __tsan_destroy_fiber(fiber.shadow);
#endif
}

}  // namespace msl
