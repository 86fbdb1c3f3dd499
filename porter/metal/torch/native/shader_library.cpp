// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// at::native::mps::MetalShaderLibrary and the classes derived from it. A library is a porter::mps::Library, a
// function and its pipeline are both an msl_kernel. exec_unary_kernel and its like need PyTorch's own bundled kernels and are left
// undefined: host code that uses them does not link.
#include <ATen/native/mps/MetalShaderLibrary.h>

#define FMT_HEADER_ONLY 1
#include <fmt/args.h>
#include <fmt/format.h>

#include <algorithm>

#include "libraries.h"
#include "lookups.h"
#include "semantics.h"

namespace at::native::mps {
namespace {

using porter::mps::Library;
using porter::mps::Lookup;
using porter::mps::Stock;

// "Maximum threadgroup memory allocation" of the Apple GPU families (Metal Feature Set Tables).
constexpr uint32_t kMaxThreadgroupMemory = 32768;

// libtorch substitutes up to three parameters.
constexpr unsigned kMaxParameters = 3;

const Library& library_of(MTLLibrary_t library) { return *static_cast<const Library*>(library); }

MTLLibrary_t to_member(const Library* library) { return const_cast<Library*>(library); }

// libtorch makes an NSString of the source's C string by NSASCIIStringEncoding.
void check_source(const std::string& source) {
  if (!porter::mps::keeps(Stock::AsciiSource)) {
    return;
  }
  const auto stranger =
      std::find_if(source.begin(), source.end(), [](unsigned char c) { return c == 0 || c > 127; });
  if (stranger == source.end()) {
    return;
  }
  const auto line = 1 + std::count(source.begin(), stranger, '\n');
  TORCH_CHECK(false, "Failed to create metal library, error: the source must be ASCII, and line ", line, " holds the byte ",
              static_cast<unsigned>(static_cast<unsigned char>(*stranger)));
}

const msl_kernel* find_kernel(const Library& library, const std::string& name) {
  try {
    return library.kernel(name);
  } catch (const porter::mps::AbsentKernel& absent) {
    TORCH_CHECK(false, "Failed to create function state object for: ", name, " (expected ", absent.what(), ")");
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to created pipeline state object, error: ", error.what());
  }
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
    return library = to_member(Library::open_source(src));
  } catch (const porter::mps::LibraryFault& failure) {
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
  auto* kernel = const_cast<msl_kernel*>(find_kernel(library_of(lib), fname));
  TORCH_CHECK(kernel->threadgroup_memory <= kMaxThreadgroupMemory,
              "Failed to created pipeline state object, error: ", fname, " uses ", kernel->threadgroup_memory,
              " bytes of threadgroup memory, the device has ", kMaxThreadgroupMemory);
  return cplMap[key] = {kernel, kernel};
}

std::vector<std::string> MetalShaderLibrary::getFunctionNames() {
  if (library == nullptr && nparams > 0) {
    throw std::runtime_error("Library must be initialized first");
  }
  return library_of(getLibrary()).names();
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

PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(std::vector<uint8_t> data) : MetalShaderLibrary("") {
  try {
    library = to_member(Library::open_bytes(data));
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to load metallib: ", error.what());
  }
}

PrecompiledMetalShaderLibrary::PrecompiledMetalShaderLibrary(const std::string& path) : MetalShaderLibrary("") {
  try {
    library = to_member(Library::open_file(path));
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, "Failed to load metallib from '", path, "': ", error.what());
  }
}

PrecompiledMetalShaderLibrary::~PrecompiledMetalShaderLibrary() = default;

}  // namespace at::native::mps
