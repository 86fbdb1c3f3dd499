// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "encoder.h"

#include <c10/util/Exception.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

#include "control.h"
#include "libraries.h"
#include "semantics.h"

namespace porter::mps {
namespace {

// [MTLComputeCommandEncoder setBytes:length:atIndex:] is for "data smaller than 4 KB" (Metal documentation).
constexpr uint64_t kMaxBytes = 4096;
// "Minimum constant buffer offset alignment" of the Apple GPU families (Metal Feature Set Tables).
constexpr uint64_t kConstantAlignment = 4;

std::atomic<bool> poisoning = false;

// An address that is not null and that nobody can read.
void* poisoned_page() {
  static void* page = mmap(nullptr, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page;
}

struct Record {
  std::mutex mutex;
  std::atomic<bool> on = false;
  std::string lines;
};

Record& record() {
  static auto* instance = new Record();
  return *instance;
}

void write_down(const msl_kernel& kernel, Size threads, Size group) {
  if (!record().on) {
    return;
  }
  const std::lock_guard lock(record().mutex);
  auto& lines = record().lines;
  lines += kernel.host_name;
  for (const uint64_t size : {threads.x, threads.y, threads.z, group.x, group.y, group.z}) {
    lines += ' ' + std::to_string(size);
  }
  lines += '\n';
}

std::string describe(const msl_kernel& kernel, const msl_argument& argument) {
  return std::string("kernel ") + kernel.host_name + ", argument " + argument.name + " (" + argument.address_space +
         " " + argument.type + ") at [[buffer(" + std::to_string(argument.slot) + ")]]";
}

// The alignment of the scalar types; 1 where the type is not one of them and only its own compiler would know.
uint64_t scalar_alignment(std::string_view type) {
  for (const std::string_view name : {"float", "int", "uint", "int32_t", "uint32_t"}) {
    if (type == name) {
      return 4;
    }
  }
  for (const std::string_view name : {"half", "bfloat", "bfloat16_t", "float16_t", "short", "ushort", "int16_t",
                                      "uint16_t"}) {
    if (type == name) {
      return 2;
    }
  }
  for (const std::string_view name : {"long", "ulong", "int64_t", "uint64_t", "size_t", "float2"}) {
    if (type == name) {
      return 8;
    }
  }
  return 1;
}

void check_slot(unsigned slot) {
  TORCH_CHECK(slot < MSL_MAX_BUFFERS, "buffer index ", slot, " is past the last slot, ", MSL_MAX_BUFFERS - 1);
}

}  // namespace

void Encoder::set_pipeline(const msl_kernel* kernel) {
  pipeline_ = kernel;
  if (!keeps(Stock::StickyBindings)) {
    bindings_.fill(Binding{});
  }
  if (!poisoning) {
    return;
  }
  for (auto& binding : bindings_) {
    binding = Binding{};
    binding.state = Binding::State::Poisoned;
    binding.address = poisoned_page();
  }
}

void Encoder::set_buffer(unsigned slot, std::shared_ptr<Buffer> buffer, uint64_t offset) {
  check_slot(slot);
  auto& binding = bindings_[slot];
  binding = Binding{};
  binding.state = Binding::State::Buffer;
  if (buffer == nullptr) {
    return;  // an empty storage has no buffer: the slot then holds nil, and only a kernel that reads it is wrong
  }
  TORCH_CHECK(offset <= buffer->size(), "[[buffer(", slot, ")]]: offset ", offset, " lies past the end of a buffer of ",
              buffer->size(), " bytes");
  binding.address = buffer->memory() + offset;
  binding.offset = offset;
  binding.available = buffer->size() - offset;
  binding.buffer = std::move(buffer);
}

void Encoder::set_bytes(unsigned slot, const void* bytes, uint64_t size) {
  check_slot(slot);
  TORCH_CHECK(bytes != nullptr, "[[buffer(", slot, ")]]: the pointer to the bytes is null");
  TORCH_CHECK(size <= kMaxBytes || !keeps(Stock::BytesLimit), "[[buffer(", slot, ")]]: ", size, " bytes passed by value, Metal takes at most ",
              kMaxBytes);
  auto& binding = bindings_[slot];
  binding = Binding{};
  binding.state = Binding::State::Bytes;
  binding.bytes.resize((size + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  std::memcpy(binding.bytes.data(), bytes, size);
  binding.address = binding.bytes.data();
  binding.available = size;
}

void Encoder::check_binding(const msl_argument& argument) const {
  const auto what = [&] { return describe(*pipeline_, argument); };
  const std::string_view space = argument.address_space;
  TORCH_CHECK(space != "threadgroup", "kernel ", pipeline_->host_name, ", argument ", argument.name,
              " at [[threadgroup(", argument.slot,
              ")]]: MetalKernelFunction cannot set the size of threadgroup memory");
  TORCH_CHECK(argument.slot < MSL_MAX_BUFFERS, what(), ": there is no such slot");
  const auto& binding = bindings_[argument.slot];
  TORCH_CHECK(binding.state != Binding::State::Unset, what(), " was never bound");
  TORCH_CHECK(binding.state != Binding::State::Poisoned, what(),
              " was not bound since startEncoding, and would have read what an earlier kernel left there");
  TORCH_CHECK(binding.available > 0, what(), " is bound to no data");
  TORCH_CHECK(binding.available >= argument.pointee_size, what(), " needs ", argument.pointee_size, " bytes and has ",
              binding.available);
  const uint64_t alignment = std::max(scalar_alignment(argument.type), space == "constant" ? kConstantAlignment : 1);
  TORCH_CHECK(binding.offset % alignment == 0, what(), ": the offset must be a multiple of ", alignment, " but is ",
              binding.offset);
}

void Encoder::dispatch_threads(Size threads, Size group) {
  const auto& kernel = *pipeline_;
  TORCH_CHECK(threads.x > 0 && threads.y > 0 && threads.z > 0, "kernel ", kernel.host_name, ": a grid of ", threads.x,
              "x", threads.y, "x", threads.z, " threads is empty, and Metal takes no empty grid");
  TORCH_CHECK(group.x > 0 && group.y > 0 && group.z > 0, "kernel ", kernel.host_name, ": a threadgroup of ", group.x,
              "x", group.y, "x", group.z, " threads is empty");
  for (uint32_t index = 0; index < kernel.argument_count; ++index) {
    check_binding(kernel.arguments[index]);
  }
  msl_launch launch{};
  for (std::size_t slot = 0; slot < bindings_.size(); ++slot) {
    const auto& binding = bindings_[slot];
    launch.buffers[slot] = {binding.address, binding.available, binding.offset};
  }
  std::ranges::copy(std::array{threads.x, threads.y, threads.z}, launch.threads);
  std::ranges::copy(std::array{group.x, group.y, group.z}, launch.group);
  write_down(kernel, threads, group);
  try {
    dispatch(kernel, launch);
  } catch (const std::runtime_error& error) {
    TORCH_CHECK(false, error.what());  // which names the kernel
  }
}

}  // namespace porter::mps

void porter_mps_set_semantics_off(uint32_t bits) { porter::mps::semantics_off = bits; }

void porter_mps_poison_bindings(int on) { porter::mps::poisoning = on != 0; }

void porter_mps_record_dispatches(int on) { porter::mps::record().on = on != 0; }

uint64_t porter_mps_take_dispatches(char* text, uint64_t size) {
  auto& record = porter::mps::record();
  const std::lock_guard lock(record.mutex);
  const uint64_t needed = record.lines.size() + 1;
  if (needed <= size) {
    std::memcpy(text, record.lines.c_str(), needed);
    record.lines.clear();
  }
  return needed;
}
