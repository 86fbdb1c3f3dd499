// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// Runs the runtime of Metal on the CPU under whatever sanitizer this was built with (tests/metal/test_runtime_sanitizers.py
// builds it, and lists the cases). `harness CASE` prints "ok" and exits 0, or says what is wrong.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "kernels.h"

namespace {

void check(bool holds, const std::string& what) {
  if (!holds) {
    std::fprintf(stderr, "wrong: %s\n", what.c_str());
    std::exit(1);
  }
}

msl_kernel kernel(const char* name, msl_entry entry, msl_row row = nullptr) {
  msl_kernel made{};
  made.host_name = name;
  made.entry = entry;
  made.row = row;
  made.max_threads = MSL_MAX_THREADS_PER_THREADGROUP;
  made.threadgroup_memory = 4096;
  made.needs_fibers = row == nullptr;
  return made;
}

// What the runtime says of running `kernel` over threads x 1 x 1.
std::string run(const msl_kernel& kernel, const std::vector<std::pair<void*, std::uint64_t>>& buffers,
                std::uint64_t threads, std::uint64_t group, std::uint64_t dynamic = 0) {
  msl_launch launch{};
  for (std::size_t slot = 0; slot < buffers.size(); ++slot) {
    launch.buffers[slot] = {buffers[slot].first, buffers[slot].second, 0};
  }
  launch.threadgroup_lengths[2] = dynamic;
  const std::uint64_t sizes[2][3] = {{threads, 1, 1}, {group, 1, 1}};
  std::memcpy(launch.threads, sizes[0], sizeof sizes[0]);
  std::memcpy(launch.group, sizes[1], sizeof sizes[1]);
  char error[512] = "";
  const int status = msl_dispatch(&kernel, &launch, error, sizeof error);
  check((status != 0) == (error[0] != '\0'), "a status and no message");
  return error;
}

template <class T>
std::pair<void*, std::uint64_t> bound(std::vector<T>& values) {
  return {values.data(), values.size() * sizeof(T)};
}

void plain() {
  std::vector<float> in(100'003), out(in.size());
  std::iota(in.begin(), in.end(), 0.0f);
  check(run(kernel("doubled", nullptr, native::doubled), {bound(in), bound(out)}, in.size(), 256).empty(), "an error");
  for (std::size_t i = 0; i < in.size(); ++i) {
    check(out[i] == 2 * in[i], "doubled");
  }
}

void reverse(msl_entry entry, std::size_t count, std::size_t group, std::uint64_t dynamic) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0f);
  check(run(kernel("reversed", entry), {bound(values)}, count, group, dynamic).empty(), "an error");
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t start = i / group * group, end = std::min(start + group, count);
    check(values[i] == static_cast<float>(start + (end - 1 - i)), "reversed");
  }
}

void barriers() {
  for (const std::size_t group : {1u, 31u, 32u, 33u, 100u, 256u, 1024u}) {
    reverse(native::reversed, 5 * group + group / 3 + 1, group, 0);
    reverse(native::reversed_dynamic, 5 * group + group / 3 + 1, group, group * 4);
  }
}

// What `summed` gives, by the definition.
std::uint32_t expected_sum(std::uint32_t thread, std::uint32_t count) {
  std::uint32_t sum = 0;
  for (std::uint32_t other = thread / 32 * 32; other < std::min(thread / 32 * 32 + 32, count); ++other) {
    sum += other % 5 != 4 && other % 2 == thread % 2 ? other + 1 : 0;
  }
  return sum;
}

void meetings() {
  for (const std::uint32_t group : {1u, 7u, 32u, 45u, 96u, 1000u}) {
    std::vector<std::uint32_t> out(group * 4, 77);
    check(run(kernel("summed", native::summed), {bound(out)}, out.size(), group).empty(), "an error");
    for (std::uint32_t i = 0; i < out.size(); ++i) {
      const std::uint32_t thread = i % group;
      check(out[i] == (thread % 5 == 4 ? 77 : expected_sum(thread, group)), "summed");
    }
  }
}

void matrices() {
  std::vector<float> a(64), b(64), c(64, 1.0f);
  for (int i = 0; i < 64; ++i) {
    a[static_cast<std::size_t>(i)] = static_cast<float>(i % 7);
    b[static_cast<std::size_t>(i)] = static_cast<float>(i % 5);
  }
  const msl_kernel multiplied = kernel("multiplied", native::multiplied);
  check(run(multiplied, {bound(a), bound(b), bound(c)}, 32, 32).empty(), "an error");
  for (std::size_t row = 0; row < 8; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      float sum = 1;
      for (std::size_t k = 0; k < 8; ++k) {
        sum += a[row * 8 + k] * b[k * 8 + column];
      }
      check(c[row * 8 + column] == sum, "multiplied");
    }
  }
  check(run(multiplied, {bound(a), bound(b), bound(c)}, 31, 31).find("fewer than the 32") != std::string::npos,
        "a product by 31 lanes");
}

// Errors in the middle leave fibers that are never continued; what comes after must not notice.
void errors() {
  for (int round = 0; round < 10; ++round) {
    std::vector<std::uint32_t> out(1);
    const std::string error = run(kernel("divergent", native::divergent), {bound(out)}, 64 * 16, 64);
    check(error.find("kernel divergent: ") == 0 && error.find("different threadgroup_barrier calls") != std::string::npos,
          "the error of a divergent barrier: " + error);
    check(out[0] == 0, "a thread went on behind it");
    reverse(native::reversed, 1000, 256, 0);
  }
  std::vector<float> none;
  check(!run(kernel("reversed", native::reversed), {}, 0, 1).empty(), "an empty grid");
  check(!run(kernel("reversed", native::reversed), {}, 1, 1025).empty(), "a large threadgroup");
}

// Several threads of the host dispatch at once, while another changes the number of cores.
void concurrent() {
  std::atomic<bool> done{false};
  std::thread changes([&done] {
    for (std::uint32_t cores = 0; !done.load(); cores = (cores + 1) % 5) {
      msl_set_cores(cores);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> hosts;
  std::vector<std::uint32_t> count(1);
  constexpr int kHosts = 4, kRounds = 10;
  for (int host = 0; host < kHosts; ++host) {
    hosts.emplace_back([&count, host] {
      for (int round = 0; round < kRounds; ++round) {
        check(run(kernel("counted", native::counted), {bound(count)}, 48 * 10 + 5, 48).empty(), "an error");
        reverse(native::reversed, 500, 100, 0);
        if (host == 0) {
          std::vector<std::uint32_t> out(1);
          check(!run(kernel("divergent", native::divergent), {bound(out)}, 64 * 8, 64).empty(), "no error");
        }
      }
    });
  }
  for (std::thread& host : hosts) {
    host.join();
  }
  done = true;
  changes.join();
  check(count[0] == kHosts * kRounds * (48 * 10 + 5), "counted");
}

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) {
      return std::strtol(line.c_str() + 6, nullptr, 10);
    }
  }
  return 0;
}

// Many dispatches of kernels of both kinds, on all cores: memory does not grow.
void repeated(long dispatches) {
  std::vector<float> values(256), out(256);
  const msl_kernel fibers = kernel("reversed", native::reversed), rows = kernel("doubled", nullptr, native::doubled);
  long early = 0;
  for (long round = 0; round < dispatches; ++round) {
    check(run(round % 2 == 0 ? fibers : rows, {bound(values), bound(out)}, 256, 64).empty(), "an error");
    if (round == dispatches / 10) {
      early = resident_kib();
    }
  }
  const long grown = resident_kib() - early;
  std::printf("%ld dispatches, resident memory grew by %ld KiB in the last nine tenths\n", dispatches, grown);
  // One leaked byte a dispatch shows at 10^6; pages of allocator and stacks that are touched late are a few hundred KiB.
  check(grown < 512, "memory grew");
}

// Resident memory of the pool after every core ran full threadgroups of fibers, per core and per fiber.
void memory(std::uint32_t cores) {
  msl_set_cores(cores);
  std::vector<float> values(1024 * 64 * cores);
  const long before = resident_kib();
  for (int round = 0; round < 3; ++round) {
    check(run(kernel("reversed", native::reversed), {bound(values)}, values.size(), 1024).empty(), "an error");
  }
  const long grown = resident_kib() - before;
  std::printf("%u cores, 1024 threads a threadgroup: %ld KiB more than the buffers, %.1f KiB a fiber\n", cores, grown,
              static_cast<double>(grown) / (1024.0 * cores));
}

void planted(const msl_kernel& kernel, std::size_t words, std::uint64_t threads, std::uint64_t group) {
  const std::unique_ptr<std::uint32_t[]> buffer(new std::uint32_t[words]());
  buffer[0] = 1;
  for (int round = 0; round < 50; ++round) {
    run(kernel, {{buffer.get(), words * 4}}, threads, group);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long number = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 0;
  const std::map<std::string, std::function<void()>> cases = {
      {"plain", plain},
      {"barriers", barriers},
      {"meetings", meetings},
      {"matrices", matrices},
      {"errors", errors},
      {"concurrent", concurrent},
      {"repeated", [number] { repeated(number); }},
      {"memory", [number] { memory(static_cast<std::uint32_t>(number)); }},
      {"racing", [] { planted(kernel("racing", native::racing), 1, 64 * 64, 64); }},
      {"overflowing", [] { planted(kernel("overflowing", native::overflowing), 64, 64, 64); }},
      {"smashing", [] { planted(kernel("smashing", native::smashing), 64, 64, 64); }},
      {"undefined", [] { planted(kernel("undefined", native::undefined), 64, 64, 64); }},
  };
  const auto found = cases.find(argc > 1 ? argv[1] : "");
  if (found == cases.end()) {
    std::fprintf(stderr, "usage: harness CASE [NUMBER]\n");
    return 2;
  }
  found->second();
  std::puts("ok");
  return 0;
}
