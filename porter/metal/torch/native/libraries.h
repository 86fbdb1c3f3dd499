// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What stands where Metal has an MTLLibrary: kernels that Python compiled from source or translated from a compiled
// library, asked for by the hooks of control.h. A kernel is made when it is first looked up.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel_abi.h"

namespace porter::mps {

// The source or the compiled library is at fault; what() is the compiler's or the loader's report.
class LibraryFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// There is no kernel of that name; what() names the nearest.
class AbsentKernel : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Lives as long as the process, as Python's library does. All functions raise LibraryFault, or std::runtime_error where
// anything else is wrong (no hook, no compiler).
class Library {
 public:
  static const Library* open_source(const std::string& source);
  static const Library* open_file(const std::string& path);
  static const Library* open_bytes(const std::vector<uint8_t>& bytes);

  std::vector<std::string> names() const;

  // Raises AbsentKernel where there is none.
  const msl_kernel* kernel(const std::string& host_name) const;

 private:
  explicit Library(uint64_t handle) : handle_(handle) {}
  static const Library* of_handle(uint64_t handle);

  uint64_t handle_;
};

// Runs the kernel by the runtime's msl_dispatch. Raises std::runtime_error with the runtime's sentence.
void dispatch(const msl_kernel& kernel, const msl_launch& launch);

}  // namespace porter::mps
