// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What the sanitizer says about what it found.

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "check.h"

namespace msl {

namespace {

const char* verb(AccessKind kind) { return kind == kWrite ? "write" : "read"; }

std::string plural(std::uint64_t count, const char* unit) {
  return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
}

std::string range(std::int64_t first, std::uint64_t size) {
  if (size == 1) {
    return std::string("byte ") + std::to_string(first);
  }
  return std::string("bytes ") + std::to_string(first) + ".." + std::to_string(first + static_cast<std::int64_t>(size) - 1);
}

std::string position(const std::uint32_t (&xyz)[3]) {
  return std::string("(") + std::to_string(xyz[0]) + ", " + std::to_string(xyz[1]) + ", " + std::to_string(xyz[2]) + ")";
}

}  // namespace

std::string Check::site(std::uint32_t site) const {
  return site < table_.site_count ? table_.sites[site] : "an unknown place";
}

std::string Check::thread_name(const msl_thread& thread) const {
  return std::string("thread ") + position(thread.thread_position_in_threadgroup) + " of threadgroup " +
         position(thread.threadgroup_position_in_grid);
}

// The thread of that index in the threadgroup that ran in that epoch.
std::string Check::thread_name(std::uint32_t epoch, std::uint32_t thread) const {
  const auto after = std::upper_bound(group_epochs_.begin(), group_epochs_.end(), epoch);
  auto index = static_cast<std::uint64_t>(after - group_epochs_.begin()) - 1;
  msl_thread place{};
  std::uint64_t size[3];
  for (int axis = 0; axis < 3; ++axis) {
    const std::uint64_t threads = launch_.threads[axis], group = launch_.group[axis];
    const std::uint64_t groups = (threads + group - 1) / group;
    place.threadgroup_position_in_grid[axis] = static_cast<std::uint32_t>(index % groups);
    size[axis] = std::min(group, threads - index % groups * group);
    index /= groups;
  }
  place.thread_position_in_threadgroup[0] = static_cast<std::uint32_t>(thread % size[0]);
  place.thread_position_in_threadgroup[1] = static_cast<std::uint32_t>(thread / size[0] % size[1]);
  place.thread_position_in_threadgroup[2] = static_cast<std::uint32_t>(thread / size[0] / size[1]);
  return thread_name(place);
}

// Names bytes by the binding that they belong to, or are nearest to. Offsets count from where the buffer is bound.
std::string Check::bytes_of(const Object& object, std::int64_t offset, std::uint64_t size) const {
  if (object.is_threadgroup()) {
    return range(offset, size) + " of " + object.name + " (" + plural(object.size, "byte") + ")";
  }
  const char* address = object.begin + offset;
  int nearest = -1;
  std::int64_t smallest = INT64_MAX;
  std::string also;
  for (int slot = 0; slot < MSL_MAX_BUFFERS; ++slot) {
    const msl_binding& binding = launch_.buffers[slot];
    const char* bound = static_cast<const char*>(binding.address);
    if (bound == nullptr || CheckArena::instance().slot_of(bound) != object.slot) {
      continue;
    }
    const std::int64_t missed =
        address < bound ? bound - address : std::max<std::int64_t>(0, address - bound - static_cast<std::int64_t>(binding.size));
    if (missed < smallest) {
      smallest = missed;
      nearest = slot;
    }
    also += std::string(also.empty() ? "" : ", ") + "buffer(" + std::to_string(slot) + ")";
  }
  const msl_binding& binding = launch_.buffers[nearest];
  std::string name = std::string("buffer(") + std::to_string(nearest) + ")";
  for (std::uint32_t i = 0; i < kernel_.argument_count; ++i) {
    const msl_argument& argument = kernel_.arguments[i];
    if (argument.slot == static_cast<std::uint32_t>(nearest) && std::strcmp(argument.address_space, "threadgroup") != 0) {
      name += std::string(" ") + argument.name;
    }
  }
  name += " (" + plural(binding.size, "byte");
  if (binding.before != 0) {
    name += ", and " + std::to_string(binding.before) + " of the same allocation in front of them";
  }
  if (also.find(',') != std::string::npos) {
    name += "; one allocation with " + also;
  }
  return range(address - static_cast<const char*>(binding.address), size) + " of " + name + ")";
}

bool Check::outside(const msl_thread& thread, const Object* object, const char* address, std::uint64_t size,
                    std::uint32_t flags, std::uint32_t site) {
  const std::string slot = object == nullptr ? "none" : std::to_string(object->slot);
  bool is_new = false;
  Finding* finding = find("outside " + std::to_string(site) + " " + slot, is_new);
  if (!is_new) {
    return false;
  }
  finding->text = std::string("out-of-bounds ") + verb((flags & MSL_CHECK_WRITE) != 0 ? kWrite : kRead) + " of " +
                  plural(size, "byte") + " at " + this->site(site) + "\n    by " + thread_name(thread) + ": ";
  if (object != nullptr) {
    finding->text += bytes_of(*object, address - object->begin, size);
  } else if (reinterpret_cast<std::uintptr_t>(address) < 4096) {
    finding->text += "through a null pointer (is the buffer bound?)";
  } else {
    char text[64];
    std::snprintf(text, sizeof text, "address %p, which belongs to no buffer", static_cast<const void*>(address));
    finding->text += text;
  }
  return false;
}

bool Check::constant_access(const msl_thread& thread, const char* address, std::uint64_t size, std::uint32_t object,
                            std::uint32_t site) {
  const msl_check_object& constant = table_.constants[object];
  const std::int64_t offset = address - static_cast<const char*>(constant.address);
  if (offset >= 0 && size <= constant.size && static_cast<std::uint64_t>(offset) <= constant.size - size) {
    return true;
  }
  bool is_new = false;
  Finding* finding = find("constant " + std::to_string(site), is_new);
  if (is_new) {
    finding->text = "out-of-bounds read of " + plural(size, "byte") + " at " + this->site(site) + "\n    by " +
                    thread_name(thread) + ": " + range(offset, size) + " of constant " + constant.name + " (" +
                    plural(constant.size, "byte") + ")";
  }
  return false;
}

void Check::report_race(const msl_thread& thread, const Object& object, std::uint64_t offset, std::uint64_t size,
                        AccessKind kind, const Access& now, const Access& before, bool before_writes) {
  bool is_new = false;
  Finding* finding = find("race " + std::to_string(now.site) + " " + std::to_string(before.site) + " " +
                              std::to_string(object.slot),
                          is_new);
  if (!is_new) {
    return;
  }
  std::string why;
  if (before.epoch < group_epochs_.back()) {
    why = "threadgroups of one dispatch are not ordered";
  } else if (before.thread / MSL_SIMD_WIDTH == now.thread / MSL_SIMD_WIDTH) {
    why = "nothing orders lanes of one simdgroup but a barrier with mem_flags::";
    why += object.is_threadgroup() ? "mem_threadgroup" : "mem_device";
  } else {
    why = "no threadgroup_barrier with mem_flags::";
    why += object.is_threadgroup() ? "mem_threadgroup is between them" : "mem_device is between them";
  }
  finding->text = std::string("data race: ") + (now.atomic ? "atomic " : "") + verb(kind) + " of " +
                  plural(size, "byte") + " at " + site(now.site) + "\n    by " + thread_name(thread) + ": " +
                  bytes_of(object, static_cast<std::int64_t>(offset), size) + "\n    after " +
                  (before.atomic ? "an atomic " : "a ") + verb(before_writes ? kWrite : kRead) + " at " +
                  site(before.site) + "\n    by " + thread_name(before.epoch, before.thread) + "; " + why;
  if (kind == kWrite) {
    watch(*finding, object.begin + offset, size);
  }
}

void Check::report_uninitialised(const msl_thread& thread, const Object& object, std::uint64_t offset,
                                 std::uint64_t size, std::uint32_t site) {
  bool is_new = false;
  Finding* finding = find("uninitialised " + std::to_string(site) + " " + std::to_string(object.slot), is_new);
  if (is_new) {
    finding->text = "read of uninitialised threadgroup memory at " + this->site(site) + "\n    by " +
                    thread_name(thread) + ": " + bytes_of(object, static_cast<std::int64_t>(offset), size) +
                    ", which no thread of this threadgroup has written";
  }
}

void Check::report_divergence(const msl_thread& one, const msl_thread& another) {
  const std::uint32_t place = arrivals_[one.thread_index_in_threadgroup].site;
  const std::uint32_t other_place = arrivals_[another.thread_index_in_threadgroup].site;
  bool is_new = false;
  Finding* finding = find("divergent " + std::to_string(place) + " " + std::to_string(other_place), is_new);
  if (is_new) {
    finding->text = "divergent threadgroup_barrier at " + site(place) + "\n    " + thread_name(one) +
                    " waits at it, and " + thread_name(another) + " waits at " + site(other_place);
  }
}

}  // namespace msl
