// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Kernel modules (kernel_abi.h) stand where Metal has libraries: loaded from a file, or compiled from source by the
// hook that Python sets.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel_abi.h"

namespace porter::mps {

class Module {
 public:
  // Loads the shared object at `path`, once per path; it stays loaded, as pipelines outlive their library on Metal.
  // Raises std::runtime_error where it is no module of our ABI version.
  static const Module* load(const std::string& path);

  const msl_kernel* find(const std::string& host_name) const;
  std::vector<std::string> names() const;

 private:
  explicit Module(const msl_module_info* info);

  const msl_module_info* info_;
  std::unordered_map<std::string, const msl_kernel*> kernels_;
};

// What the compiler said when a source could not be compiled.
class CompileFailure : public std::exception {
 public:
  explicit CompileFailure(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// Compiles `source` by the hook and loads the module. Raises CompileFailure where the source is at fault and
// std::runtime_error where anything else is (no hook, no compiler).
const Module* compile(const std::string& source);

// Runs the kernel by the runtime's msl_dispatch. Raises std::runtime_error with the runtime's sentence.
void dispatch(const msl_kernel& kernel, void* const* buffers, const uint64_t (&threads)[3], const uint64_t (&group)[3]);

}  // namespace porter::mps
