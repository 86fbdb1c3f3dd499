// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The switch itself.

#include "fiber.h"

asm(R"(
  .text
  .globl msl_switch_stack
  .hidden msl_switch_stack
  .type msl_switch_stack, @function
  .p2align 4
msl_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size msl_switch_stack, . - msl_switch_stack
)");
