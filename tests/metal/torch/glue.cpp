// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Host code as it would be written for a Mac: operators over a library of the kernels in kernels.cpp.
#include <ATen/core/Tensor.h>
#include <ATen/mps/MPSDevice.h>
#include <ATen/native/mps/MetalShaderLibrary.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

namespace {

using at::Tensor;
using at::native::mps::DynamicMetalShaderLibrary;
using at::native::mps::MetalKernelFunction;
using at::native::mps::MetalShaderLibrary;

struct ScaleParams {
  float factor;
  uint32_t count;
};

MetalShaderLibrary& library() {
  static DynamicMetalShaderLibrary instance("// the kernels of kernels.cpp");
  return instance;
}

std::vector<uint64_t> to_sizes(at::IntArrayRef sizes) { return {sizes.begin(), sizes.end()}; }

Tensor scale(const Tensor& in, double factor) {
  auto out = at::empty_like(in);
  auto* kernel = library().getCachedKernelFunctionPtr("scale");
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    kernel->setArg(0, in);
    kernel->setArg(1, out);
    kernel->setArg(2, ScaleParams{static_cast<float>(factor), static_cast<uint32_t>(in.numel())});
    kernel->dispatch(static_cast<uint64_t>(in.numel()));
  });
  return out;
}

void dispatch(const Tensor& out, const std::string& name, at::IntArrayRef threads, at::OptionalIntArrayRef group) {
  auto kernel = library().getKernelFunction(name);
  const auto length = to_sizes(threads);
  const auto size = group.has_value() ? to_sizes(*group) : std::vector<uint64_t>();
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    kernel->setArg(0, out);
    kernel->dispatch(length, group.has_value() ? c10::OptionalArrayRef<uint64_t>(size) : std::nullopt);
  });
}

void dispatch_1d(const Tensor& out, const std::string& name, int64_t threads, std::optional<int64_t> group) {
  auto kernel = library().getKernelFunction(name);
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    kernel->setArg(0, out);
    kernel->dispatch(static_cast<uint64_t>(threads), group ? std::optional<uint64_t>(*group) : std::nullopt);
  });
}

// Runs `name` with nothing bound but `tensors`, from slot `first` on.
void run_with(const std::string& name, int64_t first, at::TensorList tensors) {
  auto kernel = library().getKernelFunction(name);
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    for (size_t index = 0; index < tensors.size(); ++index) {
      kernel->setArg(static_cast<unsigned>(first + index), tensors[index]);
    }
    kernel->dispatch(1);
  });
}

void set_bytes(int64_t slot, int64_t size) {
  const std::vector<char> bytes(size);
  auto kernel = library().getKernelFunction("nothing");
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    kernel->setArg(static_cast<unsigned>(slot), bytes.data(), bytes.size());
  });
}

void set_null() {
  auto kernel = library().getKernelFunction("nothing");
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    kernel->setArg(0, nullptr, 4);
  });
}

// Uses the library in ways a Mac does not forgive.
void misuse(const std::string& how, const Tensor& tensor) {
  auto kernel = library().getKernelFunction("bump");
  auto other = library().getKernelFunction("nothing");
  if (how == "start outside") {
    kernel->startEncoding();
  } else if (how == "setArg outside") {
    kernel->runCommandBlock([&] { kernel->startEncoding(); });
    kernel->setArg(0, tensor);
  } else if (how == "no start") {
    kernel->runCommandBlock([&] { kernel->setArg(0, tensor); });
  } else if (how == "dispatch without start") {
    kernel->runCommandBlock([&] { kernel->dispatch(1); });
  } else if (how == "encoder ended") {
    kernel->runCommandBlock([&] { kernel->startEncoding(); });
    tensor.zero_();
    kernel->runCommandBlock([&] { kernel->setArg(0, tensor); });
  } else if (how == "nested") {
    kernel->runCommandBlock([&] { other->runCommandBlock([] {}); });
  } else if (how == "copy inside") {
    kernel->runCommandBlock([&] { tensor.clone(); });
  } else if (how == "item inside") {
    kernel->runCommandBlock([&] { tensor.item(); });
  } else if (how == "throw") {
    kernel->runCommandBlock([] { throw std::invalid_argument("from the block"); });
  } else if (how == "other pipeline") {
    kernel->runCommandBlock([&] {
      kernel->startEncoding();
      kernel->setArg(0, tensor);
      other->startEncoding();
      kernel->dispatch(1);
    });
  } else if (how == "temporary") {
    kernel->runCommandBlock([&] {
      kernel->startEncoding();
      kernel->setArg(0, at::empty_like(tensor));
      kernel->dispatch(1);
    });
  } else {
    TORCH_CHECK(false, "unknown misuse ", how);
  }
}

// Whether two threads are inside command blocks at once: each waits there for the other, as long as `patient` says.
bool blocks_meet(bool patient) {
  std::atomic<int> inside = 0;
  std::atomic<bool> met = false;
  const auto work = [&] {
    auto kernel = library().getKernelFunction("nothing");
    kernel->runCommandBlock([&] {
      ++inside;
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patient ? 30'000 : 200);
      while (inside < 2 && !met && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
      }
      met = met || inside == 2;
      --inside;
    });
  };
  std::thread other(work);
  work();
  other.join();
  return met;
}

std::vector<std::string> names() { return library().getFunctionNames(); }
bool has(const std::string& name) { return library().hasFunction(name); }
std::vector<int64_t> properties(const std::string& name) {
  const auto kernel = library().getKernelFunction(name);
  return {static_cast<int64_t>(kernel->getMaxThreadsPerThreadgroup()),
          static_cast<int64_t>(kernel->getThreadExecutionWidth()),
          static_cast<int64_t>(kernel->getStaticThreadGroupMemoryLength())};
}

void compile(const std::string& source) { DynamicMetalShaderLibrary{source}; }

void run_source(const std::string& source, const std::string& name, at::TensorList tensors, int64_t threads,
                int64_t group) {
  DynamicMetalShaderLibrary compiled(source);
  const auto kernel = compiled.getKernelFunction(name);
  kernel->runCommandBlock([&] {
    kernel->startEncoding();
    for (size_t index = 0; index < tensors.size(); ++index) {
      kernel->setArg(static_cast<unsigned>(index), tensors[index]);
    }
    kernel->dispatch(static_cast<uint64_t>(threads), static_cast<uint64_t>(group));
  });
}

class Parametrised : public MetalShaderLibrary {
 public:
  using MetalShaderLibrary::getLibrary;
  using MetalShaderLibrary::MetalShaderLibrary;
};

void compile_with(const std::string& source, const std::string& first, const std::string& second) {
  Parametrised parametrised(source, 2);
  const auto* once = parametrised.getLibrary({first, second});
  TORCH_CHECK(once == parametrised.getLibrary({first, second}));
  parametrised.getPipelineStateForFunc("nothing", {first, second});
}

// What C++ alone cannot have, or Linux has not.
void absent(const std::string& what) {
  if (what == "options") {
    static char no_options = 0;
    Parametrised(std::string("// with options"), 0, static_cast<MTLCompileOptions*>(&no_options)).getLibrary();
  } else {
    MetalShaderLibrary::getBundledLibrary().getKernelFunction("copy");
  }
}

void precompiled(const std::string& path) {
  at::native::mps::PrecompiledMetalShaderLibrary loaded(path);
  loaded.getKernelFunction("nothing");
}

// A library of its own each time `fresh`, so that a lookup can be a first one.
std::unique_ptr<DynamicMetalShaderLibrary> shared;
void fresh_library() { shared = std::make_unique<DynamicMetalShaderLibrary>("// a library for lookups"); }
void look_up(const std::string& name) { shared->getCachedKernelFunctionPtr(name); }

std::string device_name() { return at::mps::MPSDevice::getInstance()->getName(); }
int64_t device_cores() { return at::mps::MPSDevice::getInstance()->getCoreCount(); }
bool newer_than(int64_t family) { return at::mps::is_apple_family_or_newer(at::mps::AppleGPUFamily(family)); }

}  // namespace

TORCH_LIBRARY(porter_test, m) {
  m.def("scale(Tensor a, float factor) -> Tensor");
  m.def("dispatch(Tensor(a!) out, str name, int[] threads, int[]? group) -> ()");
  m.def("dispatch_1d(Tensor(a!) out, str name, int threads, int? group) -> ()");
  m.def("run_with(str name, int first, Tensor[] tensors) -> ()", run_with);
  m.def("set_bytes(int slot, int size) -> ()", set_bytes);
  m.def("set_null() -> ()", set_null);
  m.def("misuse(str how, Tensor(a!) tensor) -> ()", misuse);
  m.def("blocks_meet(bool patient) -> bool", blocks_meet);
  m.def("names() -> str[]", names);
  m.def("has(str name) -> bool", has);
  m.def("properties(str name) -> int[]", properties);
  m.def("run_source(str source, str name, Tensor[] tensors, int threads, int group) -> ()", run_source);
  m.def("compile(str source) -> ()", compile);
  m.def("compile_with(str source, str first, str second) -> ()", compile_with);
  m.def("absent(str what) -> ()", absent);
  m.def("precompiled(str path) -> ()", precompiled);
  m.def("fresh_library() -> ()", fresh_library);
  m.def("look_up(str name) -> ()", look_up);
  m.def("device_name() -> str", device_name);
  m.def("device_cores() -> int", device_cores);
  m.def("newer_than(int family) -> bool", newer_than);
}

TORCH_LIBRARY_IMPL(porter_test, MPS, m) {
  m.impl("scale", scale);
  m.impl("dispatch", dispatch);
  m.impl("dispatch_1d", dispatch_1d);
}
