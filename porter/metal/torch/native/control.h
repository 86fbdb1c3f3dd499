// SPDX-FileCopyrightText: 2026 The steel-port authors
// SPDX-License-Identifier: BSD-3-Clause
//
// What Python sets and asks, by ctypes. Plain C, and nothing throws across it.
#pragma once

#include <stdint.h>

#include "kernel_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

// What became of a request to Python.
enum {
  PORTER_MPS_DONE = 0,
  PORTER_MPS_SOURCE_ERROR = 1,  // the source or the compiled library is at fault
  PORTER_MPS_TOOL_ERROR = 2,    // anything else is
  PORTER_MPS_ABSENT = 3         // there is no kernel of that name
};

// Python holds the libraries and keeps each as long as the process lives, because pipelines outlive their library on
// Metal. Each function returns one of the statuses above; where that is not DONE, `text` holds what went wrong as a
// zero-terminated string of at most `text_size` bytes. Called with or without the GIL, from any thread.
typedef struct porter_mps_libraries {
  // Compiles Metal source.
  int (*open_source)(const char* source, uint64_t size, uint64_t* library, char* text, uint64_t text_size);
  // Reads a compiled library (.metallib).
  int (*open_file)(const char* path, uint64_t size, uint64_t* library, char* text, uint64_t text_size);
  int (*open_bytes)(const char* bytes, uint64_t size, uint64_t* library, char* text, uint64_t text_size);
  // Writes the host names of the library's kernels to `text`, one a line. `needed` is the bytes that takes, terminator
  // included; where `text_size` is less, nothing is written.
  int (*names)(uint64_t library, uint64_t* needed, char* text, uint64_t text_size);
  // Finds, and where need be compiles or translates, one kernel. ABSENT with the nearest names in `text`.
  int (*kernel)(uint64_t library, const char* name, const msl_kernel** kernel, char* text, uint64_t text_size);
} porter_mps_libraries;

// The hooks, or null for none. They are copied.
void porter_mps_set_libraries(const porter_mps_libraries* hooks);

// Loads the shared object that exports msl_dispatch. Returns 0, or writes one sentence to `error` and returns 1.
int porter_mps_load_runtime(const char* path, char* error, uint64_t error_size);

// Switches off what stock libtorch's semantics cost: the bits of semantics.h.
void porter_mps_set_semantics_off(uint32_t bits);

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
