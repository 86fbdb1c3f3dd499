// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Who accessed what, as far as it takes to notice that two accesses are not ordered.
//
// Threadgroups run one after another here, and a simdgroup runs until all of its lanes wait, so three accesses of each
// kind (read, write) say enough: the first of the dispatch (was there one in an earlier threadgroup?), the first since
// the last barrier, and the latest since then by another thread than that one.
#pragma once

#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace msl {

struct Access {
  std::uint32_t epoch;      // counts threadgroups and barriers of a dispatch from 1; 0 is no access
  std::uint32_t site;
  std::uint16_t simdgroup_epoch;  // simdgroup barriers that the thread has passed
  std::uint16_t thread : 15;      // index in its threadgroup
  std::uint16_t atomic : 1;
};
static_assert(sizeof(Access) == 12);

enum AccessKind { kRead, kWrite };

struct Cell {
  Access first[2], opening[2], other[2];

  // An access that `now` is in conflict with, or null. `group_epoch` is the epoch in which the running threadgroup
  // began; `shared` says whether other threadgroups use the same memory.
  const Access* conflict(const Access& now, AccessKind kind, std::uint32_t group_epoch, bool shared) const {
    for (int before = kWrite; before >= (kind == kWrite ? kRead : kWrite); --before) {
      const Access& earliest = first[before];
      if (shared && earliest.epoch != 0 && earliest.epoch < group_epoch && !(earliest.atomic && now.atomic)) {
        return &earliest;
      }
      if (opening[before].epoch == now.epoch) {
        if (unordered(opening[before], now)) {
          return &opening[before];
        }
        if (other[before].epoch == now.epoch && unordered(other[before], now)) {
          return &other[before];
        }
      }
    }
    return nullptr;
  }

  void record(const Access& now, AccessKind kind) {
    if (first[kind].epoch == 0 || (first[kind].atomic && !now.atomic)) {
      first[kind] = now;
    }
    if (opening[kind].epoch != now.epoch) {
      opening[kind] = now;
    } else if (opening[kind].thread == now.thread) {
      update(opening[kind], now);
    } else if (other[kind].epoch == now.epoch && other[kind].thread == now.thread) {
      update(other[kind], now);
    } else if (other[kind].epoch != now.epoch || other[kind].atomic || !now.atomic) {
      other[kind] = now;
    }
  }

 private:
  static constexpr int kSimdWidth = 32;

  // Two accesses in one threadgroup with no threadgroup barrier between them.
  static bool unordered(const Access& before, const Access& now) {
    if (before.thread == now.thread || (before.atomic && now.atomic)) {
      return false;
    }
    const bool one_simdgroup = before.thread / kSimdWidth == now.thread / kSimdWidth;
    return !(one_simdgroup && before.simdgroup_epoch != now.simdgroup_epoch);
  }

  static void update(Access& held, const Access& now) {
    const bool atomic = held.atomic && now.atomic;
    held = now;
    held.atomic = atomic;
  }
};

// The cells of one memory object: one for 4 bytes, for 2, or for 1, as fine as the finest access so far.
class Shadow {
 public:
  explicit Shadow(std::uint64_t bytes) : bytes_(bytes), cells_(map(2)) {}
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;
  ~Shadow() { munmap(cells_, size(shift_)); }

  // Calls visit(cell) for each cell of [offset, offset + size), until it returns true.
  template <class Visit>
  bool any(std::uint64_t offset, std::uint64_t size, Visit visit) {
    while (((offset | size) & ((1u << shift_) - 1)) != 0) {
      refine();
    }
    const std::uint64_t end = (offset + size) >> shift_;
    begin_ = begin_ < offset ? begin_ : offset;
    end_ = end_ > offset + size ? end_ : offset + size;
    for (std::uint64_t index = offset >> shift_; index < end; ++index) {
      if (visit(cells_[index])) {
        return true;
      }
    }
    return false;
  }

 private:
  std::size_t size(int shift) const { return ((bytes_ >> shift) + 1) * sizeof(Cell); }

  Cell* map(int shift) const {
    void* memory =
        mmap(nullptr, size(shift), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::runtime_error("the sanitizer has no memory to follow accesses");
    }
    return static_cast<Cell*>(memory);
  }

  void refine() {
    Cell* fine = map(shift_ - 1);
    for (std::uint64_t index = begin_ >> shift_; begin_ < end_ && index <= (end_ - 1) >> shift_; ++index) {
      fine[2 * index] = fine[2 * index + 1] = cells_[index];
    }
    munmap(cells_, size(shift_));
    cells_ = fine;
    --shift_;
  }

  std::uint64_t bytes_;
  std::uint64_t begin_ = UINT64_MAX, end_ = 0;  // what was accessed
  int shift_ = 2;
  Cell* cells_;
};

}  // namespace msl
