// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// at::native::mps::MetalShaderLibrary and the classes derived from it. A library is a kernel module, a function and its
// pipeline are both an msl_kernel. exec_unary_kernel and its like need PyTorch's own bundled kernels and are left
// undefined: host code that uses them does not link.
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <sys/mman.h>
#include <unistd.h>

#define FMT_HEADER_ONLY 1
#include <fmt/args.h>
#include <fmt/format.h>

#include <algorithm>

#include "lookups.h"
#include "modules.h"

namespace at::native::mps {
namespace {

using porter::mps::Lookup;
using porter::mps::Module;

// "Maximum threadgroup memory allocation" of the Apple GPU families (Metal Feature Set Tables).
constexpr uint32_t kMaxThreadgroupMemory = 32768;

// libtorch substitutes up to three parameters.
constexpr unsigned kMaxParameters = 3;

const Module* module_of(MTLLibrary_t library) { return static_cast<const Module*>(library); }

MTLLibrary_t to_library(const Module* module) { return const_cast<Module*>(module); }

// libtorch makes an NSString of the source's C string by NSASCIIStringEncoding.
void check_source(const std::string& source) {
  const auto stranger =
      std::find_if(source.begin(), source.end(), [](unsigned char c) { return c == 0 || c > 127; });
  if (stranger == source.end()) {
    return;
  }
  const auto line = 1 + std::count(source.begin(), stranger, '\n');
  TORCH_CHECK(false, "Failed to create metal library, error: the source must be ASCII, and line ", line, " holds the byte ",
              static_cast<unsigned>(static_cast<unsigned char>(*stranger)));
}

const Module* load_bytes(const std::vector<uint8_t>& bytes) {
  const int file = memfd_create("kernel module", MFD_CLOEXEC);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("the module cannot be kept in memory");
  }
  // The descriptor stays open: its number names the module, and a reused number would name another.
  return Module::load("/proc/self/fd/" + std::to_string(file));
}

class BundledShaderLibrary final : public MetalShaderLibrary {
 public:
  BundledShaderLibrary() : MetalShaderLibrary("") {}

 protected:
  MTLLibrary_t getLibrary() override {
    TORCH_CHECK_NOT_IMPLEMENTED(false, "PyTorch's bundled Metal kernels are not available on Linux");
  }
  MTLLibrary_t getLibrary(const std::initializer_list<std::string>&) override {
    throw std::runtime_error("Should never be called");
  }
};

}  // namespace

MetalShaderLibrary::~MetalShaderLibrary() = default;

MTLLibrary_t MetalShaderLibrary::getLibrary() {
  Lookup lookup(this);
  if (library == nullptr) {
    TORCH_INTERNAL_ASSERT(nparams == 0);
    lookup.inserts();
    library = compileLibrary(shaderSource);
  }
  return library;
}

MTLLibrary_t MetalShaderLibrary::getLibrary(const std::initializer_list<std::string>& params) {
  TORCH_INTERNAL_ASSERT(params.size() == nparams);
  TORCH_INTERNAL_ASSERT(nparams >= 1 && nparams <= kMaxParameters, "Unsupported number of parameters ", nparams);
  Lookup lookup(this);
  fmt::dynamic_format_arg_store<fmt::format_context> arguments;
  std::string key;
  for (const auto& param : params) {
    arguments.push_back(param);
    key += param + '\n';
  }
  if (libMap.count(key) == 0) {
    lookup.inserts();
    libMap[key] = compileLibrary(fmt::vformat(shaderSource, arguments));
  }
  return libMap.at(key);
}

MTLLibrary_t MetalShaderLibrary::compileLibrary(const std::string& src) {
  TORCH_CHECK(compile_options == nullptr,
              "Failed to create metal library, error: MTLCompileOptions cannot be made from C++ alone");
  check_source(src);
  try {
    // Also with parameters: libtorch's getFunctionNames then answers for what was compiled last.
    return library = to_library(porter::mps::compile(src));
  } catch (const porter::mps::CompileFailure& failure) {
    throw c10::SyntaxError({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, failure.what());
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to create metal library, error: ", error.what());
  }
}

std::pair<MTLComputePipelineState_t, MTLFunction_t> MetalShaderLibrary::getLibraryPipelineState(
    MTLLibrary_t lib, const std::string& fname) {
  Lookup lookup(this);
  const auto key = fname + fmt::format(" in {}", lib);
  if (const auto found = cplMap.find(key); found != cplMap.end()) {
    return found->second;
  }
  lookup.inserts();
  auto* kernel = const_cast<msl_kernel*>(module_of(lib)->find(fname));
  TORCH_CHECK(kernel, "Failed to create function state object for: ", fname);
  TORCH_CHECK(kernel->threadgroup_memory <= kMaxThreadgroupMemory,
              "Failed to created pipeline state object, error: ", fname, " uses ", kernel->threadgroup_memory,
              " bytes of threadgroup memory, the device has ", kMaxThreadgroupMemory);
  return cplMap[key] = {kernel, kernel};
}

std::vector<std::string> MetalShaderLibrary::getFunctionNames() {
  if (library == nullptr && nparams > 0) {
    throw std::runtime_error("Library must be initialized first");
  }
  return module_of(getLibrary())->names();
}

bool MetalShaderLibrary::hasFunction(const std::string& fname) {
  Lookup lookup(this);
  if (!functionNamesPopulated) {
    lookup.inserts();
    for (auto& name : getFunctionNames()) {
      functionNames.insert(std::move(name));
    }
    functionNamesPopulated = true;
  }
  return functionNames.count(fname) > 0;
}

std::shared_ptr<MetalKernelFunction> MetalShaderLibrary::getKernelFunction(const std::string& name) {
  Lookup lookup(this);
  const auto [pipeline, function] = getLibraryPipelineState(getLibrary(), name);
  return std::make_shared<MetalKernelFunction>(pipeline, function);
}

MetalKernelFunction* MetalShaderLibrary::getCachedKernelFunctionPtr(const std::string& name) {
  Lookup lookup(this);
  if (const auto found = kernelCache.find(name); found != kernelCache.end()) {
    return found->second.get();
  }
  lookup.inserts();
  const auto [pipeline, function] = getLibraryPipelineState(getLibrary(), name);
  return (kernelCache[name] = std::make_unique<MetalKernelFunction>(pipeline, function)).get();
}

MetalShaderLibrary& MetalShaderLibrary::getBundledLibrary() {
  static BundledShaderLibrary bundled;
  return bundled;
}

DynamicMetalShaderLibrary::~DynamicMetalShaderLibrary() = default;

// On Linux a compiled library is a kernel module, not a metallib.
PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(std::vector<uint8_t> data) : MetalShaderLibrary("") {
  try {
    library = to_library(load_bytes(data));
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to load metallib: ", error.what());
  }
}

PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(const std::string& path) : MetalShaderLibrary("") {
  try {
    library = to_library(Module::load(path));
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to load metallib from '", path, "': ", error.what());
  }
}

PrecompiledMetalShaderLibrary::~PrecompiledMetalShaderLibrary() = default;

}  // namespace at::native::mps
