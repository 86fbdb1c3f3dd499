# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Integer functions of every width, exact, against Python's unbounded integers (specification, section 6.4)."""

from __future__ import annotations

import numpy as np
import pytest

TYPES = {
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}


class Width:
    """What a function is in Python, for integers of `bits` bits."""

    def __init__(self, kind: type[np.integer]) -> None:
        self.bits = np.iinfo(kind).bits
        self.low, self.high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)

    def wrap(self, value: int) -> int:
        value &= (1 << self.bits) - 1
        return value if value <= self.high else value - (1 << self.bits)

    def digits(self, value: int) -> str:
        return f"{value & ((1 << self.bits) - 1):0{self.bits}b}"

    def clamp(self, value: int) -> int:
        return min(max(value, self.low), self.high)


def clz(w, a, b, c):
    return w.bits - len(w.digits(a).lstrip("0"))


def ctz(w, a, b, c):
    return w.bits - len(w.digits(a).rstrip("0"))


def rotate(w, a, b, c):
    digits, by = w.digits(a), b % w.bits
    return int(digits[by:] + digits[:by], 2)


MODEL = {
    "clz(a)": clz,
    "ctz(a)": ctz,
    "popcount(a)": lambda w, a, b, c: w.digits(a).count("1"),
    "reverse_bits(a)": lambda w, a, b, c: int(w.digits(a)[::-1], 2),
    "rotate(a, b)": rotate,
    "abs(a)": lambda w, a, b, c: abs(a),
    "absdiff(a, b)": lambda w, a, b, c: abs(a - b),
    "addsat(a, b)": lambda w, a, b, c: w.clamp(a + b),
    "subsat(a, b)": lambda w, a, b, c: w.clamp(a - b),
    "hadd(a, b)": lambda w, a, b, c: (a + b) >> 1,
    "rhadd(a, b)": lambda w, a, b, c: (a + b + 1) >> 1,
    "mulhi(a, b)": lambda w, a, b, c: a * b >> w.bits,
    "madhi(a, b, c)": lambda w, a, b, c: (a * b >> w.bits) + c,
    "madsat(a, b, c)": lambda w, a, b, c: w.clamp(a * b + c),
    "min(a, b)": lambda w, a, b, c: min(a, b),
    "max(a, b)": lambda w, a, b, c: max(a, b),
    "min3(a, b, c)": lambda w, a, b, c: min(a, b, c),
    "max3(a, b, c)": lambda w, a, b, c: max(a, b, c),
    "median3(a, b, c)": lambda w, a, b, c: sorted((a, b, c))[1],
    "clamp(a, min(b, c), max(b, c))": lambda w, a, b, c: sorted((a, b, c))[1],
}


def kernel_of(kind: str, expressions: list[str]) -> str:
    """A kernel that evaluates each expression of a, b and c, for scalars and for vectors of four."""
    scalars = "".join(f"  out[{len(expressions)} * i + {j}] = {kind}({e});\n" for j, e in enumerate(expressions))
    vectors = "".join(f"  out[{len(expressions)} * i + {j}] = {kind}4({e});\n" for j, e in enumerate(expressions))
    arguments = "uint i [[thread_position_in_grid]]"
    return "".join(
        f"kernel void {name}(device const {t}* as [[buffer(0)]], device const {t}* bs [[buffer(1)]], "
        f"device const {t}* cs [[buffer(2)]], device {t}* out [[buffer(3)]], {arguments}) {{\n"
        f"  {t} a = as[i], b = bs[i], c = cs[i];\n{body}}}\n"
        for name, t, body in (("scalars", kind, scalars), ("vectors", kind + "4", vectors))
    )


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy at an address that suits a long4, as every Metal buffer's does and numpy's do not."""
    room = np.zeros(array.nbytes + 32, np.uint8)
    start = -room.ctypes.data % 32
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def values(kind: type[np.integer], seed: int) -> np.ndarray:
    """1,024 values: the edges of the type in all threesomes of eight, and random ones of random lengths."""
    width = Width(kind)
    edges = [0, 1, 2, width.high, width.high - 1, width.low, width.wrap(-1), width.wrap(0x5A5A5A5A5A5A5A5A)]
    place = {0: 1, 1: 8, 2: 64}[seed]
    rng = np.random.default_rng(seed)
    picked = [edges[i // place % 8] for i in range(512)]
    picked += [width.wrap(int(rng.integers(1 << 62)) * 5 >> int(rng.integers(63))) for _ in range(512)]
    return aligned(np.array(picked, kind))


@pytest.mark.parametrize("kind", TYPES)
def test_integer_functions(run, kind):
    width = Width(TYPES[kind])
    expressions = list(MODEL)
    inputs = [values(TYPES[kind], seed) for seed in range(3)]
    expected = np.array(
        [[width.wrap(model(width, *map(int, row))) for model in MODEL.values()] for row in zip(*inputs, strict=True)],
        TYPES[kind],
    )
    source = kernel_of(kind, expressions)
    out = np.zeros_like(expected)
    run(source, "scalars", {0: inputs[0], 1: inputs[1], 2: inputs[2], 3: out}, (1024,), (64,))
    for j, expression in enumerate(expressions):
        np.testing.assert_array_equal(out[:, j], expected[:, j], expression)
    out = aligned(np.zeros((256, len(expressions), 4), TYPES[kind]))
    run(source, "vectors", {0: inputs[0], 1: inputs[1], 2: inputs[2], 3: out}, (256,), (64,))
    np.testing.assert_array_equal(out.transpose(0, 2, 1).reshape(expected.shape), expected)


BITS = """
template <typename T>
kernel void bits(device const T* in [[buffer(0)]], device T* out [[buffer(1)]],
                 uint2 at [[thread_position_in_grid]]) {
  const uint width = 8 * sizeof(T);
  if (at.x + at.y > width) return;
  const T x = in[0], y = in[1];
  device T* cell = out + 4 * (at.y * (width + 1) + at.x);
  cell[0] = extract_bits(x, at.x, at.y);
  cell[1] = insert_bits(x, y, at.x, at.y);
  cell[2] = extract_bits(vec<T, 2>(y, x), at.x, at.y).y;
  cell[3] = insert_bits(vec<T, 2>(y, x), vec<T, 2>(x, y), at.x, at.y).y;
}
#define instantiate(T) template [[host_name("bits_" #T)]] [[kernel]] decltype(bits<T>) bits<T>;
instantiate(char) instantiate(uchar) instantiate(short) instantiate(ushort)
instantiate(int) instantiate(uint) instantiate(long) instantiate(ulong)
"""


@pytest.mark.parametrize("kind", TYPES)
def test_bit_fields_at_every_place(run, kind):
    width = Width(TYPES[kind])
    x, y = width.wrap(0xB1A2C3D4E5F60718), width.wrap(0x123456789ABCDEF0)
    side = width.bits + 1
    out = np.zeros((side, side, 4), TYPES[kind])
    run(BITS, f"bits_{kind}", {0: np.array([x, y], TYPES[kind]), 1: out}, (side, side), (side, 1))
    for count in range(side):
        for offset in range(side - count):
            digits = width.digits(x)[width.bits - offset - count : width.bits - offset]
            sign = digits[:1] if width.low < 0 else "0"
            extracted = int(digits.rjust(width.bits, sign or "0"), 2) if count else 0
            mask = ((1 << count) - 1) << offset
            inserted = (x & ~mask) | (y << offset & mask)
            expected = [width.wrap(extracted), width.wrap(inserted)] * 2
            assert out[count, offset].tolist() == expected, (count, offset)


TWENTY_FOUR = """
template <typename T>
kernel void products(device const vec<T, 2>* in [[buffer(0)]], device T* out [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  out[4 * i] = mul24(in[i].x, in[i].y);
  out[4 * i + 1] = mad24(in[i].x, in[i].y, T(77));
  out[4 * i + 2] = mul24(in[i], in[i].yx).y;
  out[4 * i + 3] = mad24(in[i], in[i].yx, T(77)).x;
}
template [[host_name("int")]] [[kernel]] decltype(products<int>) products<int>;
template [[host_name("uint")]] [[kernel]] decltype(products<uint>) products<uint>;
"""


@pytest.mark.parametrize("kind", ["int", "uint"])
def test_products_of_24_bits(run, kind):
    width = Width(TYPES[kind])
    low = -(1 << 23) if kind == "int" else 0
    rng = np.random.default_rng(4)
    pairs = rng.integers(low, low + (1 << 24), (500, 2)).astype(TYPES[kind])
    out = np.zeros((500, 4), TYPES[kind])
    run(TWENTY_FOUR, kind, {0: pairs, 1: out}, (500,), (50,))
    products = [int(a) * int(b) for a, b in pairs]
    expected = [[width.wrap(p), width.wrap(p + 77)] * 2 for p in products]
    assert out.tolist() == expected
