// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What Python sets and asks, by ctypes. Plain C, and nothing throws across it.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PORTER_MPS_COMPILED = 0, PORTER_MPS_SOURCE_ERROR = 1, PORTER_MPS_TOOL_ERROR = 2 };

// Compiles `source` (`size` bytes) to a kernel module. Writes the module's path, or what went wrong, as a
// zero-terminated string of at most `answer_size` bytes to `answer` and returns one of the statuses above.
// Called with or without the GIL, from any thread.
typedef int (*porter_mps_compile)(const char* source, uint64_t size, char* answer, uint64_t answer_size);

void porter_mps_set_compile(porter_mps_compile hook);

// Loads the shared object that exports msl_dispatch. Returns 0, or writes one sentence to `error` and returns 1.
int porter_mps_load_runtime(const char* path, char* error, uint64_t error_size);

// While on, starting an encoding poisons every slot, so that a kernel meets what it was given since then and no more.
void porter_mps_poison_bindings(int on);

// While on, a lookup that fills a library's maps while another thread is inside a lookup of the same library raises.
// Such a lookup is held for `hold_ms` milliseconds, so that an overlap shows itself.
void porter_mps_detect_lookup_races(int on, uint32_t hold_ms);

// While on, each dispatch is written down. Taking copies what was written since the last taking, one line a dispatch:
// the host name, three grid sizes in threads, three threadgroup sizes. Returns the bytes needed, terminator included;
// where `size` is less, nothing is copied or forgotten.
void porter_mps_record_dispatches(int on);
uint64_t porter_mps_take_dispatches(char* text, uint64_t size);

// What MPSDevice and the hooks tell of the device.
void porter_mps_set_device(const char* name, uint32_t cores, uint32_t macos_major, uint32_t macos_minor);
void porter_mps_get_device(char* name, uint64_t name_size, uint32_t* cores);

// Waits until the autograd engine has let go of all earlier backward passes. To be called before Python finalizes,
// without the GIL.
void porter_mps_drain_autograd();

#ifdef __cplusplus
}
#endif
