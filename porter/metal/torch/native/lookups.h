// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// libtorch's shader libraries keep what they looked up in maps that nothing locks: finding is safe from many threads,
// the first lookup of a name, which inserts, is not safe beside any other. A `Lookup` stands on the stack for as long
// as a lookup lasts and, while the detector is on, raises where two overlap and one of them inserts. While unlocked
// lookups are switched off (semantics.h), it excludes all others instead.
#pragma once

#include <mutex>

namespace porter::mps {

class Lookup {
 public:
  explicit Lookup(const void* library);
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // From here to its end, this lookup inserts.
  void inserts();

 private:
  std::unique_lock<std::recursive_mutex> excluding_;
  const void* library_;
  bool watched_ = false;
  bool inserting_ = false;
};

}  // namespace porter::mps
