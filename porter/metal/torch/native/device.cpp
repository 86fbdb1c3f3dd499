// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// The mps device as the rest of torch sees it: at::mps::MPSDevice, the hooks behind torch.mps, and the device guard.
#include <ATen/detail/MPSHooksInterface.h>
#include <ATen/mps/MPSDevice.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <utility>

#include "buffers.h"
#include "control.h"
#include "events.h"
#include "generator.h"
#include "stream.h"

namespace porter::mps {
namespace {

using Version = std::pair<unsigned, unsigned>;

// Which Mac this pretends to be. The cores of Apple's smallest M1: the class of device that MLX calls `g`.
struct Device {
  std::mutex mutex;
  std::string name = "Apple M1";
  unsigned cores = 7;
  Version macos = {15, 0};
};

Device& device() {
  static auto* instance = new Device();
  return *instance;
}

bool macos_at_least(Version version) {
  const std::lock_guard lock(device().mutex);
  return device().macos >= version;
}

// The generation N of "Apple MN ...", or 1.
unsigned generation() {
  const std::lock_guard lock(device().mutex);
  unsigned number = 1;
  return std::sscanf(device().name.c_str(), "Apple M%u", &number) == 1 ? number : 1;
}

std::size_t physical_memory() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// What has no meaning here (command buffers, dispatch queues) is left to the base class, which raises.
struct Hooks final : at::MPSHooksInterface {
  Hooks() = default;

  void init() const override {}
  bool hasMPS() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  bool isOnMacOSorNewer(unsigned major, unsigned minor) const override { return macos_at_least({major, minor}); }
  at::Device getDeviceFromPtr(void*) const override { return {at::kMPS, 0}; }

  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return default_generator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::make_generator<MetalGenerator>(); }

  c10::Allocator* getMPSDeviceAllocator() const override { return allocator(); }
  void deviceSynchronize() const override { Stream::current().synchronize(); }
  void commitStream() const override { Stream::current().synchronize(); }
  void emptyCache() const override {}
  std::size_t getCurrentAllocatedMemory() const override { return allocated_bytes(); }
  std::size_t getDriverAllocatedMemory() const override { return mapped_bytes(); }
  std::size_t getRecommendedMaxMemory() const override { return physical_memory(); }
  std::size_t getMaxBufferLength() const override { return physical_memory(); }

  void setMemoryFraction(double ratio) const override { set_memory_limit(ratio, physical_memory()); }

  void profilerStartTrace(const std::string&, bool) const override {
    TORCH_CHECK_NOT_IMPLEMENTED(false, "torch.mps.profiler writes signposts for macOS's Instruments, which are not "
                                       "available on Linux; porter.metal.torch.record_dispatches() tells what ran");
  }
  void profilerStopTrace() const override {}

  uint32_t acquireEvent(bool timed) const override { return events().acquire(timed); }
  void releaseEvent(uint32_t id) const override { events().release(id); }
  void recordEvent(uint32_t id) const override { events().record(id); }
  void waitForEvent(uint32_t id) const override { events().wait(id); }
  void synchronizeEvent(uint32_t id) const override {
    Stream::current().synchronize();
    events().wait(id);
  }
  bool queryEvent(uint32_t id) const override { return events().query(id); }
  double elapsedTimeOfEvents(uint32_t start, uint32_t end) const override { return events().elapsed_ms(start, end); }
};

c10::Device the_device() { return {c10::DeviceType::MPS, 0}; }

c10::Stream the_stream() { return c10::Stream(c10::Stream::DEFAULT, the_device()); }

struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::MPS> {
  Guard() = default;
  c10::Device exchangeDevice(c10::Device) const override { return the_device(); }
  c10::Device getDevice() const override { return the_device(); }
  c10::Stream getStream(c10::Device) const noexcept override { return the_stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return the_stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return the_stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return the_stream(); }
  void synchronizeStream(const c10::Stream&) const override { Stream::current().synchronize(); }
  void synchronizeDevice(const c10::DeviceIndex) const override { Stream::current().synchronize(); }

  // torch.Event: the pointer that torch keeps is the event's number.
  void record(void** event, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag flag) const override {
    if (*event == nullptr) {
      *event = reinterpret_cast<void*>(uintptr_t{events().acquire(flag == c10::EventFlag::BACKEND_DEFAULT)});
    }
    events().record(number(*event));
  }
  void destroyEvent(void* event, const c10::DeviceIndex) const noexcept override {
    if (event != nullptr) {
      events().release(number(event));
    }
  }
  void block(void* event, const c10::Stream&) const override { events().wait(number(event)); }
  bool queryEvent(void* event) const override { return event == nullptr || events().query(number(event)); }
  void synchronizeEvent(void* event) const override {
    Stream::current().synchronize();
    events().wait(number(event));
  }
  double elapsedTime(void* start, void* end, const c10::DeviceIndex) const override {
    return events().elapsed_ms(number(start), number(end));
  }

 private:
  static uint32_t number(void* event) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(event)); }
};

}  // namespace
}  // namespace porter::mps

namespace c10::impl {
C10_REGISTER_GUARD_IMPL(MPS, porter::mps::Guard)
}

namespace {

// torch makes its hooks object when somebody first asks for it (`torch.backends.mps.is_available()` does) and keeps it.
// That may have happened before this library was loaded, so our hooks are put where that object stands: Hooks adds no
// data to its base class.
[[maybe_unused]] const bool install_hooks = [] {
  static_assert(sizeof(porter::mps::Hooks) == sizeof(at::MPSHooksInterface));
  auto* hooks = const_cast<at::MPSHooksInterface*>(&at::detail::getMPSHooks());
  hooks->~MPSHooksInterface();
  new (hooks) porter::mps::Hooks();
  return true;
}();

}  // namespace

namespace {
const c10::AllocatorRegisterer<c10::DeviceType::MPS> register_allocator(porter::mps::allocator());
}

namespace at::mps {

MPSDevice::MPSDevice() : _mtl_device(&porter::mps::device()) {}
MPSDevice::~MPSDevice() = default;

MPSDevice* MPSDevice::getInstance() {
  static MPSDevice instance;
  return &instance;
}

std::string MPSDevice::getName() const {
  const std::lock_guard lock(porter::mps::device().mutex);
  return porter::mps::device().name;
}

unsigned MPSDevice::getCoreCount() const {
  const std::lock_guard lock(porter::mps::device().mutex);
  return porter::mps::device().cores;
}

bool MPSDevice::isMacOS13Plus(MacOSVersion version) const {
  switch (version) {
    case MacOSVersion::MACOS_VER_14_4_PLUS:
      return porter::mps::macos_at_least({14, 4});
    case MacOSVersion::MACOS_VER_15_0_PLUS:
      return porter::mps::macos_at_least({15, 0});
    case MacOSVersion::MACOS_VER_15_1_PLUS:
      return porter::mps::macos_at_least({15, 1});
    case MacOSVersion::MACOS_VER_15_2_PLUS:
      return porter::mps::macos_at_least({15, 2});
    case MacOSVersion::MACOS_VER_26_0_PLUS:
      return porter::mps::macos_at_least({26, 0});
    case MacOSVersion::MACOS_VER_26_4_PLUS:
      return porter::mps::macos_at_least({26, 4});
  }
  return false;
}

bool is_available() { return true; }

bool is_macos_13_or_newer(MacOSVersion version) { return MPSDevice::getInstance()->isMacOS13Plus(version); }

bool is_apple_family_or_newer(AppleGPUFamily family) {
  switch (family) {
    case AppleGPUFamily::APPLE_7_PLUS:
      return porter::mps::generation() >= 1;
    case AppleGPUFamily::APPLE_8_PLUS:
      return porter::mps::generation() >= 2;
    case AppleGPUFamily::APPLE_9_PLUS:
      return porter::mps::generation() >= 3;
    case AppleGPUFamily::APPLE_10_PLUS:
      return porter::mps::generation() >= 5;
  }
  return false;
}

Allocator* GetMPSAllocator() { return porter::mps::allocator(); }

}  // namespace at::mps

void porter_mps_set_device(const char* name, uint32_t cores, uint32_t macos_major, uint32_t macos_minor) {
  auto& device = porter::mps::device();
  const std::lock_guard lock(device.mutex);
  device.name = name;
  device.cores = cores;
  device.macos = {macos_major, macos_minor};
}

void porter_mps_get_device(char* name, uint64_t name_size, uint32_t* cores) {
  auto& device = porter::mps::device();
  const std::lock_guard lock(device.mutex);
  name[device.name.copy(name, name_size - 1)] = '\0';
  *cores = device.cores;
}
