// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Address space for the sanitizer. Every memory object of a dispatch lies alone in the middle of a slot of many
// gigabytes, so that an address says which object it was meant for, however far it missed.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace msl {

class CheckArena {
 public:
  static constexpr std::uint32_t kSlots = 128;

  // Reserved once for the process. Throws std::runtime_error where there is no address space.
  static CheckArena& instance() {
    static CheckArena arena;
    return arena;
  }

  // Makes `size` bytes of slot `slot` usable, zero; they begin `phase` bytes behind a multiple of 4096. Throws
  // std::runtime_error.
  char* commit(std::uint32_t slot, std::uint64_t size, std::uint64_t phase) {
    if (size > (std::uint64_t{1} << (shift_ - 2))) {
      throw std::runtime_error("the sanitizer cannot hold a buffer of " + std::to_string(size) + " bytes");
    }
    char* pages = middle(slot);
    if (mprotect(pages, round_up(phase + size), PROT_READ | PROT_WRITE) != 0) {
      throw std::runtime_error("the sanitizer has no memory for a copy of " + std::to_string(size) + " bytes");
    }
    return pages + phase;
  }

  // Gives what `commit` returned back.
  void release(std::uint32_t slot, std::uint64_t size, std::uint64_t phase) {
    madvise(middle(slot), round_up(phase + size), MADV_DONTNEED);
    mprotect(middle(slot), round_up(phase + size), PROT_NONE);
  }

  // The slot that `address` lies in, or kSlots.
  std::uint32_t slot_of(const void* address) const {
    const auto distance = static_cast<std::uint64_t>(static_cast<const char*>(address) - base_);
    return distance < (std::uint64_t{kSlots} << shift_) ? static_cast<std::uint32_t>(distance >> shift_) : kSlots;
  }

 private:
  // The largest slots that this process may have: half of one is as far as an index of 32 bits reaches, and more.
  static constexpr int kLargestShift = 37, kSmallestShift = 32;
  // Far below where programs and libraries are: in the midst of them it would drive what is loaded later apart, and the
  // parts of one kernel's code must lie within 2 GiB. Where the place is taken the system chooses another.
  static constexpr std::uintptr_t kWish = std::uintptr_t{1} << 45;

  CheckArena() {
    for (shift_ = kLargestShift; shift_ >= kSmallestShift; --shift_) {
      void* memory = mmap(reinterpret_cast<void*>(kWish), std::size_t{kSlots} << shift_, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory != MAP_FAILED) {
        base_ = static_cast<char*>(memory);
        return;
      }
    }
    throw std::runtime_error("the sanitizer needs 512 GiB of address space (is it limited, as by ulimit -v?)");
  }

  char* middle(std::uint32_t slot) const {
    return base_ + (std::uint64_t{slot} << shift_) + (std::uint64_t{1} << (shift_ - 1));
  }
  static std::uint64_t round_up(std::uint64_t bytes) {
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return (bytes + page - 1) / page * page;
  }

  char* base_ = nullptr;
  int shift_ = 0;
};

}  // namespace msl
