// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The random numbers of the mps device. Its operators run on the CPU's kernels, which draw from a CPU generator, so the
// device's generator is one of those under the device's name: apart from the CPU's own, seeded as it is, with other
// numbers than a Mac's.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>

namespace porter::mps {

class MetalGenerator final : public c10::GeneratorImpl {
 public:
  explicit MetalGenerator(uint64_t seed = c10::default_rng_seed_val);

  void set_current_seed(uint64_t seed) override;
  uint64_t current_seed() const override;
  uint64_t seed() override;
  void set_offset(uint64_t offset) override;
  uint64_t get_offset() const override;
  void set_state(const c10::TensorImpl& state) override;
  c10::intrusive_ptr<c10::TensorImpl> get_state() const override;

  // What the CPU's kernels draw from.
  at::Generator numbers() const { return numbers_; }

 private:
  MetalGenerator* clone_impl() const override;

  mutable at::Generator numbers_;  // its mutex too is behind a member function that is not const
};

// The device's own generator.
const at::Generator& default_generator();

// The CPU generator that stands behind one of the mps device. Raises where it is another device's.
at::Generator numbers_of(const at::Generator& generator);

}  // namespace porter::mps
