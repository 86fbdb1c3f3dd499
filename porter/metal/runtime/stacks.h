// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Stacks for the fibers of one core, 32 at a time, each with a guard page below it: a kernel that recurses without end
// stops at once instead of writing over its neighbour.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <vector>

namespace msl {

class Stacks {
 public:
  static constexpr std::size_t kStackBytes = 128 * 1024;
  static constexpr std::size_t kBlock = 32;

  Stacks() = default;
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks() {
    for (char* block : blocks_) {
      munmap(block, kBlock * pitch());
    }
  }

  // The top of stack `index`, made on first use. Throws std::bad_alloc.
  char* top(std::size_t index) {
    while (blocks_.size() <= index / kBlock) {
      blocks_.push_back(map_block());
    }
    const std::size_t in_block = index % kBlock;
    char* end = blocks_[index / kBlock] + (in_block + 1) * pitch();
    // Frames of 32 fibers at one distance from a page boundary would all fall into the same few cache sets.
    return end - in_block * kStagger;
  }

  // How many bytes below the top of stack `index` are its own.
  static constexpr std::size_t usable(std::size_t index) { return kStackBytes - index % kBlock * kStagger; }

  // Whether `address` lies in one of the stacks.
  bool hold(const void* address) const {
    for (const char* block : blocks_) {
      if (static_cast<std::size_t>(static_cast<const char*>(address) - block) < kBlock * pitch()) {
        return true;
      }
    }
    return false;
  }

 private:
  static constexpr std::size_t kStagger = 17 * 64;

  static std::size_t page() {
    static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    return bytes;
  }
  static std::size_t pitch() { return kStackBytes + page(); }

  static char* map_block() {
    void* memory = mmap(nullptr, kBlock * pitch(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::bad_alloc();
    }
    auto* block = static_cast<char*>(memory);
    for (std::size_t i = 0; i < kBlock; ++i) {
      if (mprotect(block + i * pitch(), page(), PROT_NONE) != 0) {
        munmap(memory, kBlock * pitch());
        throw std::bad_alloc();
      }
    }
    return block;
  }

  std::vector<char*> blocks_;
};

}  // namespace msl
