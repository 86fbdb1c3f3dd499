// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "modules.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <stdexcept>

#include "control.h"

namespace porter::mps {
namespace {

constexpr std::size_t kAnswerSize = 1 << 16;

std::atomic<porter_mps_compile> compile_hook = nullptr;
std::atomic<decltype(&msl_dispatch)> runtime_dispatch = nullptr;

std::string dl_error() {
  const char* text = dlerror();
  return text ? text : "unknown error";
}

}  // namespace

Module::Module(const msl_module_info* info) : info_(info) {
  for (uint32_t index = 0; index < info->kernel_count; ++index) {
    kernels_.emplace(info->kernels[index].host_name, &info->kernels[index]);
  }
}

const Module* Module::load(const std::string& path) {
  static std::mutex mutex;
  static auto* loaded = new std::unordered_map<std::string, const Module*>();
  const std::lock_guard lock(mutex);
  if (const auto found = loaded->find(path); found != loaded->end()) {
    return found->second;
  }
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw std::runtime_error(dl_error());
  }
  const auto* info = static_cast<const msl_module_info*>(dlsym(handle, "msl_module"));
  if (info == nullptr || info->abi_version != MSL_ABI_VERSION) {
    const std::string why = info == nullptr ? "it exports no msl_module"
                                            : "its ABI version is " + std::to_string(info->abi_version) + ", ours is " +
                                                  std::to_string(MSL_ABI_VERSION);
    dlclose(handle);
    throw std::runtime_error(path + " is not a kernel module: " + why);
  }
  return loaded->emplace(path, new Module(info)).first->second;
}

const msl_kernel* Module::find(const std::string& host_name) const {
  const auto found = kernels_.find(host_name);
  return found == kernels_.end() ? nullptr : found->second;
}

std::vector<std::string> Module::names() const {
  std::vector<std::string> names;
  names.reserve(info_->kernel_count);
  for (uint32_t index = 0; index < info_->kernel_count; ++index) {
    names.emplace_back(info_->kernels[index].host_name);
  }
  return names;
}

const Module* compile(const std::string& source) {
  const auto hook = compile_hook.load();
  if (hook == nullptr) {
    throw std::runtime_error("no Metal compiler is set; call porter.metal.torch.enable()");
  }
  std::string answer(kAnswerSize, '\0');
  const int status = hook(source.data(), source.size(), answer.data(), answer.size());
  answer.resize(std::char_traits<char>::length(answer.c_str()));
  switch (status) {
    case PORTER_MPS_COMPILED:
      return Module::load(answer);
    case PORTER_MPS_SOURCE_ERROR:
      throw CompileFailure(answer);
    default:
      throw std::runtime_error(answer);
  }
}

void dispatch(const msl_kernel& kernel, void* const* buffers, const uint64_t (&threads)[3],
              const uint64_t (&group)[3]) {
  const auto run = runtime_dispatch.load();
  if (run == nullptr) {
    throw std::runtime_error("no kernel runtime is loaded; call porter.metal.torch.enable()");
  }
  char error[1024] = {};
  if (run(&kernel, buffers, threads, group, error, sizeof error) != 0) {
    throw std::runtime_error(error);
  }
}

}  // namespace porter::mps

void porter_mps_set_compile(porter_mps_compile hook) { porter::mps::compile_hook = hook; }

int porter_mps_load_runtime(const char* path, char* error, uint64_t error_size) {
  using namespace porter::mps;
  // Global, because modules may call into the runtime (barriers, simdgroup operations).
  void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  void* symbol = handle ? dlsym(handle, "msl_dispatch") : nullptr;
  if (symbol == nullptr) {
    const std::string why = dl_error();
    error[why.copy(error, error_size - 1)] = '\0';
    return 1;
  }
  runtime_dispatch = reinterpret_cast<decltype(&msl_dispatch)>(symbol);
  return 0;
}
