// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
#include "generator.h"

#include <mutex>

namespace porter::mps {

MetalGenerator::MetalGenerator(uint64_t seed)
    : c10::GeneratorImpl(c10::Device(c10::DeviceType::MPS, 0), c10::DispatchKeySet(c10::DispatchKey::MPS)),
      numbers_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

void MetalGenerator::set_current_seed(uint64_t seed) {
  const std::lock_guard lock(numbers_.mutex());
  numbers_.set_current_seed(seed);
}

uint64_t MetalGenerator::current_seed() const { return numbers_.current_seed(); }

uint64_t MetalGenerator::seed() {
  const std::lock_guard lock(numbers_.mutex());
  return numbers_.seed();
}

void MetalGenerator::set_offset(uint64_t offset) { numbers_.set_offset(offset); }

uint64_t MetalGenerator::get_offset() const { return numbers_.get_offset(); }

void MetalGenerator::set_state(const c10::TensorImpl& state) {
  const std::lock_guard lock(numbers_.mutex());
  numbers_.unsafeGetGeneratorImpl()->set_state(state);
}

c10::intrusive_ptr<c10::TensorImpl> MetalGenerator::get_state() const {
  const std::lock_guard lock(numbers_.mutex());
  return numbers_.unsafeGetGeneratorImpl()->get_state();
}

MetalGenerator* MetalGenerator::clone_impl() const {
  auto* copy = new MetalGenerator();
  copy->set_state(*get_state());
  return copy;
}

const at::Generator& default_generator() {
  static const auto* instance =
      new at::Generator(at::make_generator<MetalGenerator>(c10::detail::getNonDeterministicRandom()));
  return *instance;
}

at::Generator numbers_of(const at::Generator& generator) {
  TORCH_CHECK(generator.device().is_mps(), "Expected a 'mps' device type for generator but found '",
              generator.device().type(), "'");
  return generator.get<MetalGenerator>()->numbers();
}

}  // namespace porter::mps
