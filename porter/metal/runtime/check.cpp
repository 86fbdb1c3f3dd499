// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What is checked. What is found is put into words in check_report.cpp.

#include "check.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>
#include <stdexcept>

#include "threadgroup.h"

namespace msl {

namespace {

constexpr std::uint32_t kDeviceMemory = 1, kThreadgroupMemory = 2;  // MSL's mem_flags
constexpr int kUninitialised = 0xff;                                // as outside this mode
constexpr std::uint64_t kPage = 4096;

std::mutex& arena_mutex() {
  static std::mutex mutex;
  return mutex;
}

char* allocation(const msl_binding& binding) { return static_cast<char*>(binding.address) - binding.before; }
char* allocation_end(const msl_binding& binding) { return static_cast<char*>(binding.address) + binding.size; }

}  // namespace

Check::Object::Object(std::uint32_t slot, std::uint64_t bytes, char* original)
    : slot(slot),
      size(bytes),
      original(original),
      phase(reinterpret_cast<std::uintptr_t>(original) % kPage),
      begin(CheckArena::instance().commit(slot, bytes, phase)),
      written(original == nullptr ? bytes : 0),
      shadow(bytes) {}

Check::Object::~Object() { CheckArena::instance().release(slot, size, phase); }

Check::Check(const msl_kernel& kernel, const msl_launch& launch)
    : lock_(arena_mutex()),
      kernel_(kernel),
      table_(*static_cast<const msl_check_table*>(kernel.check)),
      launch_(launch) {
  copy_buffers(launch);
  place_threadgroup_memory(launch);
}

Check::~Check() = default;

Check::Object& Check::add(std::uint64_t size, char* original) {
  const std::size_t slot = objects_.size();
  if (slot == CheckArena::kSlots) {
    throw std::runtime_error("the sanitizer follows " + std::to_string(slot) + " buffers and threadgroup variables");
  }
  by_slot_[slot] = &objects_.emplace_back(static_cast<std::uint32_t>(slot), size, original);
  return *by_slot_[slot];
}

// Bindings whose allocations overlap are one object: what is written through one is read through the other.
void Check::copy_buffers(const msl_launch& launch) {
  std::vector<int> bound;
  for (int slot = 0; slot < MSL_MAX_BUFFERS; ++slot) {
    if (launch.buffers[slot].address != nullptr) {
      bound.push_back(slot);
    }
  }
  std::sort(bound.begin(), bound.end(),
            [&](int a, int b) { return allocation(launch.buffers[a]) < allocation(launch.buffers[b]); });
  for (std::size_t i = 0; i < bound.size();) {
    char* begin = allocation(launch.buffers[bound[i]]);
    char* end = allocation_end(launch.buffers[bound[i]]);
    std::size_t last = i + 1;
    for (; last < bound.size() && allocation(launch.buffers[bound[last]]) < end; ++last) {
      end = std::max(end, allocation_end(launch.buffers[bound[last]]));
    }
    Object& object = add(static_cast<std::uint64_t>(end - begin), begin);
    std::memcpy(object.begin, begin, object.size);
    for (; i < last; ++i) {
      msl_binding& binding = launch_.buffers[bound[i]];
      binding.address = object.begin + (static_cast<char*>(binding.address) - begin);
    }
  }
}

void Check::place_threadgroup_memory(const msl_launch& launch) {
  for (std::uint64_t i = 0; i < table_.variable_count; ++i) {
    variables_.push_back(
        add_threadgroup_memory(std::string("threadgroup variable ") + table_.variables[i].name, table_.variables[i].size));
  }
  for (int index = 0; index < MSL_MAX_THREADGROUP_ARGUMENTS; ++index) {
    if (launch.threadgroup_lengths[index] != 0) {
      arguments_[static_cast<std::size_t>(index)] =
          add_threadgroup_memory(std::string("threadgroup(") + std::to_string(index) + ")", launch.threadgroup_lengths[index]);
    }
  }
}

void* Check::add_threadgroup_memory(std::string name, std::uint64_t size) {
  Object& object = add(size, nullptr);
  object.name = std::move(name);
  return object.begin;
}

// ---------------------------------------------------------------------------------------------------------------------
// Order

void Check::begin_threadgroup() {
  resolve_watch();
  device_epoch_ = threadgroup_epoch_ = ++clock_;
  group_epochs_.push_back(clock_);
  device_barriers_.fill(0);
  threadgroup_barriers_.fill(0);
  for (Object& object : objects_) {
    if (object.is_threadgroup()) {
      std::memset(object.begin, kUninitialised, object.size);
      std::fill(object.written.begin(), object.written.end(), std::uint8_t{0});
    }
  }
}

void Check::arrive_at_barrier(const msl_thread& thread, std::uint32_t mem_flags, std::uint32_t site) {
  resolve_watch();
  arrivals_[thread.thread_index_in_threadgroup] = {mem_flags, site};
}

void Check::arrive_at_simdgroup_barrier(const msl_thread& thread, std::uint32_t mem_flags) {
  resolve_watch();
  device_barriers_[thread.thread_index_in_threadgroup] += (mem_flags & kDeviceMemory) != 0;
  threadgroup_barriers_[thread.thread_index_in_threadgroup] += (mem_flags & kThreadgroupMemory) != 0;
}

void Check::open_barrier(const msl_thread& waiting, const msl_thread* ended) {
  const Arrival& arrival = arrivals_[waiting.thread_index_in_threadgroup];
  ++clock_;
  if ((arrival.mem_flags & kDeviceMemory) != 0) {
    device_epoch_ = clock_;
  }
  if ((arrival.mem_flags & kThreadgroupMemory) != 0) {
    threadgroup_epoch_ = clock_;
  }
  bool is_new = false;
  Finding* finding = ended == nullptr ? nullptr : find("ended " + std::to_string(arrival.site), is_new);
  if (is_new) {
    finding->text = "divergent threadgroup_barrier at " + site(arrival.site) + "\n    " + thread_name(waiting) +
                    " waits at it, and " + thread_name(*ended) + " has ended";
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Accesses

bool Check::access(const msl_thread& thread, char* address, std::uint64_t size, std::uint32_t flags,
                   std::uint32_t site) {
  if (watched_ != nullptr) {
    resolve_watch();
  }
  if (size == 0) {
    return true;
  }
  const std::uint32_t slot = CheckArena::instance().slot_of(address);
  if (slot == CheckArena::kSlots) {
    return Core::running->owns(address) || in_constants(address, size) ||
           outside(thread, nullptr, address, size, flags, site);
  }
  Object* object = by_slot_[slot];
  const auto offset = static_cast<std::uint64_t>(address - (object == nullptr ? address : object->begin));
  if (object == nullptr || offset > object->size || size > object->size - offset) {
    return outside(thread, object, address, size, flags, site);
  }
  if (object->is_threadgroup()) {
    check_written(thread, *object, offset, size, flags, site);
  } else if ((flags & MSL_CHECK_WRITE) != 0) {
    object->dirty_begin = std::min(object->dirty_begin, offset);
    object->dirty_end = std::max(object->dirty_end, offset + size);
  }
  check_order(thread, *object, offset, size, flags, site);
  return true;
}

bool Check::in_constants(const char* address, std::uint64_t size) const {
  for (std::uint64_t i = 0; i < table_.constant_count; ++i) {
    const msl_check_object& object = table_.constants[i];
    const auto offset = static_cast<std::uint64_t>(address - static_cast<const char*>(object.address));
    if (offset <= object.size && size <= object.size - offset) {
      return true;
    }
  }
  return false;
}

// A struct that is copied as a whole has holes that nobody writes, so that a copy is no use of what it copies.
void Check::check_written(const msl_thread& thread, Object& object, std::uint64_t offset, std::uint64_t size,
                          std::uint32_t flags, std::uint32_t site) {
  const auto begin = object.written.begin() + static_cast<std::ptrdiff_t>(offset);
  const auto end = begin + static_cast<std::ptrdiff_t>(size);
  if ((flags & (MSL_CHECK_READ | MSL_CHECK_COPY)) == MSL_CHECK_READ && std::find(begin, end, 0) != end) {
    report_uninitialised(thread, object, offset, size, site);
  }
  if ((flags & MSL_CHECK_WRITE) != 0) {
    std::fill(begin, end, std::uint8_t{1});
  }
}

void Check::check_order(const msl_thread& thread, Object& object, std::uint64_t offset, std::uint64_t size,
                        std::uint32_t flags, std::uint32_t site) {
  const std::uint32_t index = thread.thread_index_in_threadgroup;
  const bool in_threadgroup = object.is_threadgroup();
  const Access now{in_threadgroup ? threadgroup_epoch_ : device_epoch_, site,
                   in_threadgroup ? threadgroup_barriers_[index] : device_barriers_[index],
                   static_cast<std::uint16_t>(index & 0x7fff), (flags & MSL_CHECK_ATOMIC) != 0};
  const AccessKind kind = (flags & MSL_CHECK_WRITE) != 0 ? kWrite : kRead;
  const std::uint32_t group_epoch = group_epochs_.back();
  Access before{};
  bool before_writes = false, races = false;
  object.shadow.any(offset, size, [&](Cell& cell) {
    const Access* conflict = races ? nullptr : cell.conflict(now, kind, group_epoch, !in_threadgroup);
    if (conflict != nullptr) {
      races = true;
      before = *conflict;
      before_writes = conflict == &cell.first[kWrite] || conflict == &cell.opening[kWrite] ||
                      conflict == &cell.other[kWrite];
    }
    cell.record(now, kind);
    return false;
  });
  if (races) {
    report_race(thread, object, offset, size, kind, now, before, before_writes);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Findings

Check::Finding* Check::find(const std::string& key, bool& is_new) {
  for (Finding& finding : findings_) {
    if (finding.key == key) {
      ++finding.count;
      return &finding;
    }
  }
  if (findings_.size() == kMaxFindings) {
    ++other_findings_;
    return nullptr;
  }
  is_new = true;
  return &findings_.emplace_back(Finding{key, {}, 1});
}

void Check::watch(const Finding& finding, const char* address, std::uint64_t size) {
  if (size <= kWatchedBytes) {
    watched_finding_ = static_cast<std::size_t>(&finding - findings_.data());
    watched_ = address;
    watched_size_ = size;
    std::memcpy(watched_bytes_.data(), address, size);
  }
}

void Check::resolve_watch() {
  if (watched_ != nullptr && std::memcmp(watched_, watched_bytes_.data(), watched_size_) == 0) {
    findings_[watched_finding_].text += " (it writes what is there already, which is a race all the same)";
  }
  watched_ = nullptr;
}

std::string Check::finish(const std::string& error) {
  resolve_watch();
  for (const Object& object : objects_) {
    if (!object.is_threadgroup() && object.dirty_begin < object.dirty_end) {
      std::memcpy(object.original + object.dirty_begin, object.begin + object.dirty_begin,
                  object.dirty_end - object.dirty_begin);
    }
  }
  if (findings_.empty()) {
    return error;
  }
  std::string text = "the sanitizer found " + std::to_string(findings_.size()) +
                     (findings_.size() == 1 ? " problem" : " problems");
  for (const Finding& finding : findings_) {
    text += "\n  " + finding.text;
    if (finding.count > 1) {
      text += " [and " + std::to_string(finding.count - 1) + " more like it]";
    }
  }
  if (other_findings_ != 0) {
    text += "\n  " + std::to_string(other_findings_) + " more findings at other places are not shown";
  }
  return error.empty() ? text : text + "\n  then: " + error;
}

}  // namespace msl

// ---------------------------------------------------------------------------------------------------------------------
// Called by kernels

namespace {

// An exception cannot cross a kernel's frames.
template <class Action>
void guarded(Action action) {
  msl::Core& core = *msl::Core::running;
  std::string error;
  bool go_on = true;
  try {
    go_on = action(*core.check(), core.place());
  } catch (const std::exception& exception) {
    error = exception.what();
  }
  if (!error.empty()) {
    core.fail(error);
  }
  if (!go_on || !error.empty()) {
    // Nothing of this frame may need an end any more: it is not come back to.
    error = std::string();
    core.abandon();
  }
}

}  // namespace

extern "C" {

void msl_check_access(void* address, uint64_t size, uint32_t flags, uint32_t site) {
  guarded([&](msl::Check& check, const msl_thread& thread) {
    return check.access(thread, static_cast<char*>(address), size, flags, site);
  });
}

void msl_check_constant(void* address, uint64_t size, uint32_t object, uint32_t site) {
  guarded([&](msl::Check& check, const msl_thread& thread) {
    return check.constant_access(thread, static_cast<const char*>(address), size, object, site);
  });
}

void msl_check_barrier(uint32_t mem_flags, uint32_t site) {
  guarded([&](msl::Check& check, const msl_thread& thread) {
    check.arrive_at_barrier(thread, mem_flags, site);
    return true;
  });
}

void msl_check_simdgroup_barrier(uint32_t mem_flags, uint32_t) {
  guarded([&](msl::Check& check, const msl_thread& thread) {
    check.arrive_at_simdgroup_barrier(thread, mem_flags);
    return true;
  });
}

void* msl_check_variable(void*, uint32_t variable) { return msl::Core::running->check()->variable(variable); }
}
