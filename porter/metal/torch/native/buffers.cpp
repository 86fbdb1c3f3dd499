// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "buffers.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <unordered_map>

namespace porter::mps {
namespace {

// NaN as float, half and bfloat, -1 as an integer: a kernel that counts on fresh memory being zero is found out.
constexpr int kFreshByte = 0xFF;

// Metal rounds a buffer's length up to 16 bytes and no more, so that is how far a kernel may look past the last byte.
constexpr std::size_t kAlignment = 16;

std::size_t page_size() {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return page;
}

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

// Bytes that all buffers together may have; 0 for no limit.
std::atomic<std::size_t> memory_limit = 0;

class Registry {
 public:
  void* add(std::size_t size) {
    check_limit(size);
    auto buffer = std::make_shared<Buffer>(size);
    void* handle = buffer->handle();
    const std::lock_guard lock(mutex_);
    count_.increase(1);
    allocated_.increase(size);
    mapped_.increase(round_up(size, page_size()));
    buffers_.emplace(handle, std::move(buffer));
    return handle;
  }

  void remove(void* handle) {
    std::shared_ptr<Buffer> last;  // unmapped after the lock is gone
    const std::lock_guard lock(mutex_);
    const auto found = buffers_.find(handle);
    if (found == buffers_.end()) {
      return;
    }
    last = std::move(found->second);
    count_.decrease(1);
    allocated_.decrease(last->size());
    mapped_.decrease(round_up(last->size(), page_size()));
    buffers_.erase(found);
  }

  std::shared_ptr<Buffer> find(const void* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = buffers_.find(handle);
    return found == buffers_.end() ? nullptr : found->second;
  }

  std::size_t allocated() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(allocated_.current);
  }

  std::size_t mapped() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(mapped_.current);
  }

  c10::CachingDeviceAllocator::DeviceStats statistics() {
    const std::lock_guard lock(mutex_);
    c10::CachingDeviceAllocator::DeviceStats told;
    constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    told.allocation[kAll] = told.segment[kAll] = told.active[kAll] = count_;
    told.allocated_bytes[kAll] = told.active_bytes[kAll] = told.requested_bytes[kAll] = allocated_;
    told.reserved_bytes[kAll] = mapped_;
    return told;
  }

  void reset_accumulated() {
    const std::lock_guard lock(mutex_);
    for (auto* stat : {&count_, &allocated_, &mapped_}) {
      stat->reset_accumulated();
    }
  }

  void reset_peak() {
    const std::lock_guard lock(mutex_);
    for (auto* stat : {&count_, &allocated_, &mapped_}) {
      stat->reset_peak();
    }
  }

 private:
  void check_limit(std::size_t size) {
    const std::size_t limit = memory_limit;
    TORCH_CHECK_WITH(OutOfMemoryError, limit == 0 || (size <= limit && mapped() <= limit - size),
                     "MPS backend out of memory (MPS allocated: ", allocated(), " bytes, max allowed: ", limit,
                     " bytes). Tried to allocate ", size, " bytes");
  }

  std::mutex mutex_;
  std::unordered_map<const void*, std::shared_ptr<Buffer>> buffers_;
  c10::CachingAllocator::Stat count_;
  c10::CachingAllocator::Stat allocated_;
  c10::CachingAllocator::Stat mapped_;
};

// Never destroyed: tensors held by Python may outlive static destruction.
Registry& registry() {
  static auto* instance = new Registry();
  return *instance;
}

void release(void* handle) { registry().remove(handle); }

// Nothing is cached: a buffer is unmapped when its storage is freed, so that its address means nothing afterwards.
class MetalAllocator final : public c10::DeviceAllocator {
 public:
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return registry().statistics(); }
  void resetAccumulatedStats(c10::DeviceIndex) override { registry().reset_accumulated(); }
  void resetPeakStats(c10::DeviceIndex) override { registry().reset_peak(); }

  // Zero bytes have no buffer, as on a Mac.
  c10::DataPtr allocate(std::size_t size) override {
    void* handle = size == 0 ? nullptr : registry().add(size);
    return {handle, handle, &release, c10::Device(c10::DeviceType::MPS, 0)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* destination, const void* source, std::size_t size) const override {
    const auto to = registry().find(destination);
    const auto from = registry().find(source);
    TORCH_CHECK(to && from, "copy_data: a pointer is not the start of a buffer of the mps device");
    std::memcpy(to->memory(), from->memory(), size);
  }
};

}  // namespace

// A handle that nobody can read, then the memory, which ends where a page begins that nobody can read either: a kernel
// that reads past its buffer, which a Mac may let pass, does not go unnoticed here.
Buffer::Buffer(std::size_t size) : size_(size), half_(round_up(size, page_size())), mapped_(2 * half_ + page_size()) {
  TORCH_CHECK(half_ >= size && half_ <= SIZE_MAX / 4, "Invalid buffer size: ", size, " bytes");
  void* both = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK_WITH(OutOfMemoryError, both != MAP_FAILED, "MPS backend out of memory: tried to allocate ", size, " bytes");
  handle_ = static_cast<char*>(both);
  memory_ = handle_ + 2 * half_ - round_up(size, kAlignment);
  if (mprotect(handle_ + half_, half_, PROT_READ | PROT_WRITE) != 0) {
    munmap(handle_, mapped_);
    TORCH_CHECK_WITH(OutOfMemoryError, false, "MPS backend out of memory: tried to allocate ", size, " bytes");
  }
  std::memset(handle_ + half_, kFreshByte, half_);
}

Buffer::~Buffer() { munmap(handle_, mapped_); }

std::shared_ptr<Buffer> buffer_of(const at::TensorBase& tensor) {
  const void* handle = tensor.storage().data();
  if (handle == nullptr) {
    return nullptr;
  }
  auto buffer = registry().find(handle);
  TORCH_CHECK(buffer, "the tensor's storage is not a buffer of the mps device");
  return buffer;
}

char* memory_of(const at::TensorBase& tensor) {
  const auto buffer = buffer_of(tensor);
  return buffer ? buffer->memory() + tensor.storage_offset() * tensor.element_size() : nullptr;
}

c10::Allocator* allocator() {
  static auto* instance = new MetalAllocator();
  return instance;
}

std::size_t allocated_bytes() { return registry().allocated(); }

std::size_t mapped_bytes() { return registry().mapped(); }

void set_memory_limit(double ratio, std::size_t memory) {
  memory_limit = static_cast<std::size_t>(ratio * static_cast<double>(memory));
}

}  // namespace porter::mps
