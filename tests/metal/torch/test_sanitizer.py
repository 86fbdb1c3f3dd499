# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Sanitizer mode under torch.mps.compile_shader, in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

SCRIPT = '''
import torch
import porter.metal.torch

porter.metal.torch.enable()
library = torch.mps.compile_shader("""
#include <metal_stdlib>
using namespace metal;
kernel void shifted(device const float* in [[buffer(0)]], device float* out [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  out[i] = in[i + 1];
}
""")
values, out = torch.arange(64.0).to("mps"), torch.zeros(64).to("mps")
library.shifted(values, out, threads=[63])
print(out.sum().item())
library.shifted(values, out, threads=[64])
torch.mps.synchronize()
'''


def test_tensors_of_the_device_are_bounded():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "STEEL_METAL_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.stdout == f"{sum(range(64))}.0\n", run.stderr  # in bounds: clean, and right
    assert run.returncode != 0
    assert re.search(
        r"RuntimeError: kernel shifted: the sanitizer found 1 problem\n"
        r"  out-of-bounds read of 4 bytes at source\.metal:6:\d+ in shifted\n"
        r"    by thread \(63, 0, 0\) of threadgroup \(\d, 0, 0\): bytes 256\.\.259 of buffer\(0\) in \(256 bytes\)",
        run.stderr,
    ), run.stderr
