// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What libtorch's semantics cost, each of which can be switched off for an experiment (porter.metal.torch
// .without_stock_semantics). All are on otherwise.
#pragma once

#include <atomic>
#include <cstdint>

namespace porter::mps {

// The order is that of the names in porter/metal/torch/semantics.py.
enum class Stock : uint32_t {
  SerialQueue,      // off: command blocks of several threads run at once, and may be nested
  StickyBindings,   // off: startEncoding begins with nothing bound
  SharedEncoder,    // off: each startEncoding has an encoder of its own, until the command block ends
  UnlockedLookups,  // off: lookups of kernels exclude each other
  BytesLimit,       // off: arguments by value may have any size
  AsciiSource,      // off: source may hold any bytes
};

inline std::atomic<uint32_t> semantics_off = 0;

inline bool keeps(Stock what) { return (semantics_off.load() >> static_cast<uint32_t>(what) & 1) == 0; }

}  // namespace porter::mps
