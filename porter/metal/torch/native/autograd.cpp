// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// torch runs backward passes over an accelerator's tensors on a thread of the autograd engine. When `backward()` has
// returned, that thread may still hold the pass's last reference, and drops it with the GIL. A process that ends right
// then is aborted: Python, which is finalizing, ends the thread that asks for the GIL inside a destructor.
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

#include <exception>
#include <thread>

#include "control.h"

// The engine's thread takes one pass after the other, so when this one is over, the earlier ones have been dropped. A
// thread that Python does not know starts it, so that dropping this one needs no GIL.
void porter_mps_drain_autograd() {
  std::thread([] {
    try {
      auto leaf = at::ones({1}, at::TensorOptions().device(at::kMPS));
      leaf.requires_grad_();
      leaf.clone().backward();
    } catch (const std::exception&) {
      // In the child of a fork the engine refuses, and there is no thread to wait for.
    }
  }).join();
}
