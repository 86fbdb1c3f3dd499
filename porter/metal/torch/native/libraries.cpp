// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "libraries.h"

#include <dlfcn.h>

#include <atomic>
#include <map>
#include <mutex>
#include <sstream>

#include "control.h"

namespace porter::mps {
namespace {

constexpr std::size_t kTextSize = 1 << 16;
constexpr std::size_t kErrorSize = 4096;

std::atomic<const porter_mps_libraries*> installed = nullptr;
std::atomic<decltype(&msl_dispatch)> runtime_dispatch = nullptr;

const porter_mps_libraries& hooks() {
  const auto* current = installed.load();
  if (current == nullptr) {
    throw std::runtime_error("no Metal compiler is set; call porter.metal.torch.enable()");
  }
  return *current;
}

void check(int status, const std::string& text) {
  const std::string message = text.c_str();  // up to the terminator
  switch (status) {
    case PORTER_MPS_DONE:
      return;
    case PORTER_MPS_SOURCE_ERROR:
      throw LibraryFault(message);
    case PORTER_MPS_ABSENT:
      throw AbsentKernel(message);
    default:
      throw std::runtime_error(message);
  }
}

template <typename Open>
uint64_t open_by(Open open, const char* data, std::size_t size) {
  std::string text(kTextSize, '\0');
  uint64_t handle = 0;
  check(open(data, size, &handle, text.data(), text.size()), text);
  return handle;
}

}  // namespace

const Library* Library::of_handle(uint64_t handle) {
  static std::mutex mutex;
  static auto* opened = new std::map<uint64_t, const Library*>();
  const std::lock_guard lock(mutex);
  auto& library = (*opened)[handle];
  if (library == nullptr) {
    library = new Library(handle);
  }
  return library;
}

const Library* Library::open_source(const std::string& source) {
  return of_handle(open_by(hooks().open_source, source.data(), source.size()));
}

const Library* Library::open_file(const std::string& path) {
  return of_handle(open_by(hooks().open_file, path.data(), path.size()));
}

const Library* Library::open_bytes(const std::vector<uint8_t>& bytes) {
  return of_handle(open_by(hooks().open_bytes, reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::vector<std::string> Library::names() const {
  std::string text(kTextSize, '\0');
  uint64_t needed = 0;
  check(hooks().names(handle_, &needed, text.data(), text.size()), text);
  if (needed > text.size()) {
    text.assign(needed, '\0');
    check(hooks().names(handle_, &needed, text.data(), text.size()), text);
  }
  std::vector<std::string> names;
  std::istringstream lines(text.c_str());
  for (std::string line; std::getline(lines, line);) {
    names.push_back(std::move(line));
  }
  return names;
}

const msl_kernel* Library::kernel(const std::string& host_name) const {
  std::string text(kTextSize, '\0');
  const msl_kernel* found = nullptr;
  check(hooks().kernel(handle_, host_name.c_str(), &found, text.data(), text.size()), text);
  return found;
}

void dispatch(const msl_kernel& kernel, const msl_launch& launch) {
  const auto run = runtime_dispatch.load();
  if (run == nullptr) {
    throw std::runtime_error("no kernel runtime is loaded; call porter.metal.torch.enable()");
  }
  char error[kErrorSize] = {};
  if (run(&kernel, &launch, error, sizeof error) != 0) {
    throw std::runtime_error(error);
  }
}

}  // namespace porter::mps

void porter_mps_set_libraries(const porter_mps_libraries* hooks) {
  // A copy that is never freed: another thread may be using the former one.
  porter::mps::installed = hooks == nullptr ? nullptr : new porter_mps_libraries(*hooks);
}

int porter_mps_load_runtime(const char* path, char* error, uint64_t error_size) {
  // Global, because kernels call into the runtime (barriers, simdgroup operations).
  void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  void* symbol = handle ? dlsym(handle, "msl_dispatch") : nullptr;
  if (symbol == nullptr) {
    const char* why = dlerror();
    const std::string text = why ? why : "unknown error";
    error[text.copy(error, error_size - 1)] = '\0';
    return 1;
  }
  porter::mps::runtime_dispatch = reinterpret_cast<decltype(&msl_dispatch)>(symbol);
  return 0;
}
