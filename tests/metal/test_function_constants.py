# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Kernels with function constants, run."""

from __future__ import annotations

import numpy as np
import pytest

from porter.errors import MetalError
from porter.metal import Library

HEADER = "#include <metal_stdlib>\nusing namespace metal;\n"

CHOICES = """constant bool negate [[function_constant(0)]];
constant int width [[function_constant(010)]];
constant float2 scale [[function_constant(3)]];
constant half offset [[function_constant(4)]];
constant bool has_offset = is_function_constant_defined(offset);
constant int twice = 2 * width;
namespace inner { constant ushort count [[function_constant(5)]]; }
kernel void choose(device float* out, device const float* added [[buffer(7), function_constant(negate)]],
                   uint i [[thread_position_in_grid]]) {
  float x = i % twice * scale.x + scale.y;
  if (negate) x = -x + added[i];
  if (has_offset) x += offset;
  if (is_function_constant_defined(inner::count)) {
    for (ushort k = 0; k < inner::count; k++) x += 100;
  }
  out[i] = x;
}
kernel void plain(device float* out, uint i [[thread_position_in_grid]]) { out[i] = i; }
"""


def chosen(constants, added=None):
    out = np.zeros(12, np.float32)
    buffers = {0: out} if added is None else {0: out, 7: added}
    Library(HEADER + CHOICES, constants=constants)["choose"](buffers, (12,), (12,))
    return out


def test_values_by_name_and_by_index():
    i = np.arange(12, dtype=np.float32)
    out = chosen({"negate": False, 8: 2, "scale": (0.5, 3.0)})
    np.testing.assert_array_equal(out, i % 4 * 0.5 + 3)
    out = chosen({0: False, "width": np.int32(3), 3: (1.0, 0.0), 4: 0.25, "count": 2})
    np.testing.assert_array_equal(out, i % 6 + 0.25 + 200)


def test_a_gated_argument_is_there_where_its_gate_is_true():
    i = np.arange(12, dtype=np.float32)
    values = {"width": 50, "scale": (1.0, 0.0)}
    np.testing.assert_array_equal(chosen({**values, "negate": True}, i * 3), 2 * i)
    with pytest.raises(MetalError, match=r"added \[\[buffer\(7\)\]\] is missing"):
        chosen({**values, "negate": True})
    kernel = Library(HEADER + CHOICES, constants={**values, "negate": False})["choose"]
    assert [one.name for one in kernel.arguments] == ["out"]


def test_a_constant_that_a_kernel_needs_must_have_a_value():
    with pytest.raises(MetalError, match="needs the function constant width, which has no value") as caught:
        chosen({"negate": False, "scale": 1.0})
    assert caught.value.where == "source.metal:4"
    assert "8" in (caught.value.expected or "")


def test_a_kernel_that_needs_none_runs_without():
    out = np.zeros(4, np.float32)
    Library(HEADER + CHOICES)["plain"]({0: out}, (4,), (4,))
    assert out.tolist() == [0, 1, 2, 3]
    assert Library(HEADER + CHOICES).names() == ("choose", "plain")


LATE = """
float elsewhere(float x);
constant float late = elsewhere(2.0f);
constant int unset [[function_constant(1)]];
constant int other [[function_constant(2)]];
constant int derived = unset + 1;
constant int second = other * 2;
kernel void reads_late(device float* out) { out[0] = late; }
kernel void reads_derived(device float* out) { out[0] = derived; }
kernel void reads_second(device float* out) { out[0] = second; }
kernel void reads_neither(device float* out) { out[0] = 7; }
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reads_late", "nothing defines .*late"),
        ("reads_derived", "needs the function constant unset"),
        ("reads_second", "needs the function constant other"),
    ],
)
def test_a_constant_that_is_computed_of_one_without_a_value(name, message):
    """There is no start at which it could be computed, and zero would be wrong."""
    with pytest.raises(MetalError, match=message):
        Library(HEADER + LATE)[name]
    out = np.zeros(1, np.float32)
    Library(HEADER + LATE)["reads_neither"]({0: out}, (1,), (1,))
    assert out[0] == 7


def test_constants_that_are_not_there_are_an_error():
    with pytest.raises(MetalError, match="no function constant 'widht'"):
        Library(HEADER + CHOICES, constants={"widht": 3})["plain"]


SCALARS = """
constant {kind} value [[function_constant(1)]];
kernel void store(device {kind}* out) {{ out[0] = value; }}
"""


@pytest.mark.parametrize(
    ("kind", "dtype", "value"),
    [
        ("bool", np.bool_, True),
        ("char", np.int8, -128),
        ("uchar", np.uint8, 255),
        ("short", np.int16, -32768),
        ("ushort", np.uint16, 65535),
        ("int", np.int32, -(2**31)),
        ("uint", np.uint32, 2**32 - 1),
        ("long", np.int64, -(2**63)),
        ("ulong", np.uint64, 2**64 - 1),
        ("half", np.float16, 0.1),
        ("float", np.float32, 0.1),
        ("float", np.float32, -np.inf),
    ],
)
def test_every_scalar_type(kind, dtype, value):
    out = np.zeros(1, dtype)
    Library(HEADER + SCALARS.format(kind=kind), constants={1: value})["store"]({0: out}, (1,), (1,))
    assert out[0] == dtype(value)


@pytest.mark.parametrize("kind", ["bool2", "char4", "uint3", "half2", "float4"])
def test_vectors(kind):
    scalar, count = kind[:-1], int(kind[-1])
    dtype = {"bool": np.bool_, "char": np.int8, "uint": np.uint32, "half": np.float16, "float": np.float32}[scalar]
    values = [True, False] if scalar == "bool" else [3, 1, 4, 15][:count]
    given = np.array(values, dtype) if scalar == "half" else values
    out = np.zeros(4 if count == 3 else count, dtype)
    Library(HEADER + SCALARS.format(kind=kind), constants={"value": given})["store"]({0: out}, (1,), (1,))
    assert out[:count].tolist() == values
