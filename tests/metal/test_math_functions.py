# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Mathematics against float64 (specification, section 6.5), within the bounds of section 8.4.

The specification asks of single precision without fast math: 16 ULP of pow and powr; 6 of atan2, tan and tanpi; 5 of
atan, atanh and tanh; 4 of the other transcendental functions; correct rounding of the rest. We hold 4 for all but tan
and tanpi, and the fast variants are the precise ones. A half is computed in float and rounded once: half a ULP, and
what the float's error can move over a rounding boundary, so that 1 ULP bounds it, as the table for halves asks.
numpy's float64 functions are exact beside that: their error is below 2^-51, 2^-28 ULP of a float."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest

# What is compared with zero is flushed to zero below the smallest normal float.
TINY = float(np.finfo(np.float32).tiny)

UNARY = {
    "acos": (np.arccos, (-1, 1), 4),
    "acosh": (np.arccosh, (1, 1e6), 4),
    "asin": (np.arcsin, (-1, 1), 4),
    "asinh": (np.arcsinh, (-1e6, 1e6), 4),
    "atan": (np.arctan, (-50, 50), 4),
    "atanh": (np.arctanh, (-0.999, 0.999), 4),
    "cos": (np.cos, (-100, 100), 4),
    "cosh": (np.cosh, (-80, 80), 4),
    "exp": (np.exp, (-80, 80), 4),
    "exp10": (lambda x: np.power(10.0, x), (-36, 36), 4),
    "exp2": (np.exp2, (-120, 120), 4),
    "log": (np.log, (1e-30, 1e30), 4),
    "log10": (np.log10, (1e-30, 1e30), 4),
    "log2": (np.log2, (1e-30, 1e30), 4),
    "sin": (np.sin, (-100, 100), 4),
    "sinh": (np.sinh, (-80, 80), 4),
    "tan": (np.tan, (-100, 100), 6),
    "tanh": (np.tanh, (-9, 9), 4),
}
# Correctly rounded, or no rounding at all.
EXACT = {
    "ceil": (np.ceil, (-9, 9)),
    "fabs": (np.abs, (-9, 9)),
    "floor": (np.floor, (-9, 9)),
    "rint": (np.rint, (-9, 9)),
    "round": (lambda x: np.trunc(x + np.copysign(0.5, x)), (-9, 9)),
    "rsqrt": (lambda x: 1 / np.sqrt(x), (1e-30, 1e30)),
    "sqrt": (np.sqrt, (0, 1e30)),
    "trunc": (np.trunc, (-9, 9)),
}
BINARY = {
    "atan2": (np.arctan2, 4),
    "pow": (lambda x, y: np.power(np.abs(x), y), 4),
    "powr": (lambda x, y: np.power(np.abs(x), y), 4),
}
EXACT_BINARY = {
    "copysign": np.copysign,
    "divide": np.divide,
    "fdim": lambda x, y: np.maximum(x - y, 0),
    "fmax": np.maximum,
    "fmin": np.minimum,
    "fmod": np.fmod,
}


def points(low: float, high: float) -> np.ndarray:
    """1,920 floats between the ends, on a line and on a logarithmic scale, and what is special in between."""
    line = np.linspace(low, high, 1000)
    scale = np.geomspace(1e-6 if low <= 0 else low, high, 900)
    near = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 0.25, 0.75, math.pi, math.pi / 2]
    near += [-x for x in near]
    found = np.concatenate([line, scale, np.clip(near, low, high)]).astype(np.float32)
    return np.clip(found, np.float32(low), np.float32(high))


def variants(names: Sequence[str], call: str) -> str:
    """Statements that write each function's plain, fast, precise and vector variant behind each other."""
    lines = []
    for j, name in enumerate(names):
        for k, form in enumerate((f"{name}(", f"metal::fast::{name}(", f"metal::precise::{name}(")):
            lines.append(f"  row[{4 * j + k}] = {form}{call});")
        lines.append(f"  row[{4 * j + 3}] = {name}({call.replace('x', 'wide_x').replace('y', 'wide_y')}).z;")
    return "\n".join(lines)


def kernels(names: Sequence[str], call: str) -> str:
    return "".join(
        f"kernel void run_{kind}(device const {kind}* xs [[buffer(0)]], device const {kind}* ys [[buffer(1)]], "
        f"device {kind}* out [[buffer(2)]], uint i [[thread_position_in_grid]]) {{\n"
        f"  const {kind} x = xs[i], y = ys[i];\n  const {kind}3 wide_x = {kind}3(0, y, x), wide_y = {kind}3(y);\n"
        f"  device {kind}* row = out + {4 * len(names)} * i;\n{variants(names, call)}\n}}\n"
        for kind in ("float", "half")
    )


def check_within(found: np.ndarray, exact: np.ndarray, ulps: float, kind: type, name: str) -> None:
    """|found - exact| is at most `ulps` units of the last place of `exact` in `kind`, component by component."""
    largest = float(np.finfo(kind).max)
    finite = np.abs(exact) <= largest
    wide = found.astype(np.float64)
    unit = np.spacing(np.clip(np.abs(exact[finite]), np.finfo(kind).tiny, None).astype(kind)).astype(np.float64)
    error = np.abs(wide[finite] - exact[finite]) / unit
    assert error.max() <= ulps, f"{name}: {error.max()} ULP at {np.flatnonzero(finite)[error.argmax()]}"
    beyond = np.abs(exact) > 1.01 * largest
    np.testing.assert_array_equal(wide[beyond], np.copysign(np.inf, exact[beyond]))


@pytest.mark.parametrize("name", UNARY)
def test_transcendental_functions(run, name):
    function, ends, ulps = UNARY[name]
    x = points(*ends)
    out = np.zeros((x.size, 4), np.float32)
    run(kernels([name], "x"), "run_float", {0: x, 1: x, 2: out}, (x.size,), (64,))
    exact = function(x.astype(np.float64))
    check_within(out[:, 0], np.where(np.abs(exact) < TINY, 0, exact), ulps, np.float32, name)
    for variant in range(1, 4):
        np.testing.assert_array_equal(out[:, variant].view(np.uint32), out[:, 0].view(np.uint32))


@pytest.mark.parametrize("name", UNARY)
def test_transcendental_functions_of_halves(run, name):
    function, (low, high), _ = UNARY[name]
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x) & (x >= max(low, -6e4)) & (x <= min(high, 6e4)) & (x != 0)]
    out = np.zeros((x.size, 4), np.float16)
    run(kernels([name], "x"), "run_half", {0: x, 1: x, 2: out}, (x.size,), (64,))
    check_within(out[:, 0], function(x.astype(np.float64)), 1, np.float16, name)
    for variant in range(1, 4):
        np.testing.assert_array_equal(out[:, variant].view(np.uint16), out[:, 0].view(np.uint16))


def test_exact_functions(run):
    for name, (function, ends) in EXACT.items():
        x = points(*ends)
        out = np.zeros((x.size, 4), np.float32)
        run(kernels([name], "x"), "run_float", {0: x, 1: x, 2: out}, (x.size,), (64,))
        # float64's own rounding is too fine to reach a float's rounding boundary: for roots see the next test.
        expected = function(x.astype(np.float64)).astype(np.float32)
        for variant in range(4):
            np.testing.assert_array_equal(out[:, variant], expected, name)


def test_roots_are_correctly_rounded(run):
    rng = np.random.default_rng(1)
    x = rng.integers(0x00800000, 0x7F800000, 3000, np.uint32).view(np.float32)
    out = np.zeros((x.size, 8), np.float32)
    run(kernels(["sqrt", "rsqrt"], "x"), "run_float", {0: x, 1: x, 2: out}, (x.size,), (64,))
    for value, root, inverse in zip(x, out[:, 0], out[:, 4], strict=True):
        square = Fraction(float(value))
        below, above = (midpoint(root, towards) for towards in (-np.inf, np.inf))
        assert below**2 < square < above**2
        below, above = (midpoint(inverse, towards) for towards in (-np.inf, np.inf))
        assert below**2 * square < 1 < above**2 * square


def midpoint(value: np.float32, towards: float) -> Fraction:
    """The middle between a float and its neighbour, exactly."""
    return (Fraction(float(value)) + Fraction(float(np.nextafter(value, np.float32(towards))))) / 2


def test_functions_of_two(run):
    x, y = points(-30, 30), np.random.default_rng(2).permutation(points(-20, 20))
    calls = [*BINARY, *EXACT_BINARY]
    out = np.zeros((x.size, 4 * len(calls)), np.float32)
    source = kernels(calls, "x, y").replace("pow(x", "pow(fabs(x)").replace("powr(x", "powr(fabs(x)")
    source = source.replace("pow(wide_x", "pow(fabs(wide_x)").replace("powr(wide_x", "powr(fabs(wide_x)")
    run(source, "run_float", {0: x, 1: y, 2: out}, (x.size,), (64,))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        for j, (name, (function, ulps)) in enumerate(BINARY.items()):
            exact = function(x.astype(np.float64), y.astype(np.float64))
            check_within(out[:, 4 * j], np.where(np.abs(exact) < TINY, 0, exact), ulps, np.float32, name)
        for j, (name, function) in enumerate(EXACT_BINARY.items(), len(BINARY)):
            expected = function(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
            np.testing.assert_array_equal(out[:, 4 * j], expected, name)
    for variant in range(1, 4):
        np.testing.assert_array_equal(out[:, variant::4].view(np.uint32), out[:, ::4].view(np.uint32))


# sin(pi x) for x in half turns: the reduction in float64 is exact, and so is sin at its own zeros.
def half_turns(function: Callable[[float], float], x: float) -> float:
    whole = round(x)
    rest = x - whole
    if function is math.cos:
        return (-1) ** whole * math.sin(math.pi * (0.5 - abs(rest)))
    return (-1) ** whole * math.sin(math.pi * rest)


def test_functions_of_half_turns(run):
    x = np.concatenate([points(-6, 6), np.arange(-20, 20, 0.5, np.float32), np.float32([1e6 + 0.5, 16777217, 3e9])])
    names = ["sinpi", "cospi", "tanpi"]
    out = np.zeros((x.size, 12), np.float32)
    run(kernels(names, "x"), "run_float", {0: x, 1: x, 2: out}, (x.size,), (64,))
    sine = np.array([half_turns(math.sin, float(value)) for value in x])
    cosine = np.array([half_turns(math.cos, float(value)) for value in x])
    check_within(out[:, 0], sine, 4, np.float32, "sinpi")
    check_within(out[:, 4], cosine, 4, np.float32, "cospi")
    pole = cosine == 0
    check_within(out[~pole, 8], sine[~pole] / cosine[~pole], 6, np.float32, "tanpi")
    assert np.isinf(out[pole, 8]).all()
    for variant in range(1, 4):
        np.testing.assert_array_equal(out[:, variant::4].view(np.uint32), out[:, ::4].view(np.uint32))


SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e30, -1e30, 0.5, -0.5], np.float32)


def test_special_values(run):
    x = SPECIAL
    names = ["exp", "log", "sqrt", "rsqrt", "sin", "sinpi", "tanh", "atan", "floor", "fract", "exp2", "log2"]
    out = np.zeros((x.size, 4 * len(names)), np.float32)
    run(kernels(names, "x"), "run_float", {0: x, 1: x, 2: out}, (x.size,), (11,))
    nan, inf = np.nan, np.inf
    expected = {
        "exp": [1, 1, inf, 0, nan, math.e, 1 / math.e, inf, 0, math.exp(0.5), math.exp(-0.5)],
        "log": [-inf, -inf, inf, nan, nan, 0, nan, math.log(1e30), nan, math.log(0.5), nan],
        "sqrt": [0, 0, inf, nan, nan, 1, nan, 1e15, nan, 0.5**0.5, nan],
        "rsqrt": [inf, -inf, 0, nan, nan, 1, nan, 1e-15, nan, 2**0.5, nan],
        "sinpi": [0, 0, nan, nan, nan, 0, 0, 0, 0, 1, -1],
        "tanh": [0, 0, 1, -1, nan, math.tanh(1), -math.tanh(1), 1, -1, math.tanh(0.5), -math.tanh(0.5)],
        "floor": [0, 0, inf, -inf, nan, 1, -1, 1e30, -1e30, 0, -1],
    }
    for name, values in expected.items():
        # The values are those of the exact function, rounded twice at most: 4 ULP, see above.
        np.testing.assert_allclose(out[:, 4 * names.index(name)], np.float32(values), 4 * 2**-23, err_msg=name)


TWO_RESULTS = """
template <typename T>
kernel void two(device const T* in [[buffer(0)]], device T* out [[buffer(1)]], device int* exponents [[buffer(2)]],
                uint i [[thread_position_in_grid]]) {
  using T2 = vec<T, 2>;
  const T x = in[i];
  T cosine, whole;
  int exponent;
  T2 cosines, wholes;
  int2 both;
  device T* row = out + 12 * i;
  row[0] = sincos(x, cosine); row[1] = cosine;
  row[2] = modf(x, whole); row[3] = whole;
  row[4] = frexp(x, exponent); exponents[4 * i] = exponent;
  row[5] = ldexp(row[4], exponent);
  row[6] = metal::precise::sincos(T2(0, x), cosines).y; row[7] = cosines.y;
  row[8] = metal::fast::modf(T2(0, x), wholes).y; row[9] = wholes.y;
  row[10] = frexp(T2(0, x), both).y; exponents[4 * i + 1] = both.y;
  row[11] = ldexp(T2(0, row[10]), both).y;
  exponents[4 * i + 2] = ilogb(x); exponents[4 * i + 3] = ilogb(T2(0, x)).y;
}
template [[host_name("float32")]] [[kernel]] decltype(two<float>) two<float>;
template [[host_name("float16")]] [[kernel]] decltype(two<half>) two<half>;
"""


@pytest.mark.parametrize(("kind", "ulps"), [(np.float32, 4), (np.float16, 1)])
def test_functions_with_two_results(run, kind, ulps):
    x = points(-30, 30).astype(kind)
    x = x[x != 0]
    out, exponents = np.zeros((x.size, 12), kind), np.zeros((x.size, 4), np.int32)
    run(TWO_RESULTS, np.dtype(kind).name, {0: x, 1: out, 2: exponents}, (x.size,), (64,))
    wide = x.astype(np.float64)
    check_within(out[:, 0], np.sin(wide), ulps, kind, "sin")
    check_within(out[:, 1], np.cos(wide), ulps, kind, "cos")
    rest, whole = np.modf(x)
    mantissa, exponent = np.frexp(x)
    for column, expected in ((2, rest), (3, whole), (4, mantissa), (5, x)):
        np.testing.assert_array_equal(out[:, column], expected)
    np.testing.assert_array_equal(out[:, 6:10], out[:, :4])
    np.testing.assert_array_equal(out[:, 10:12], out[:, 4:6])
    np.testing.assert_array_equal(exponents, np.stack([exponent, exponent, exponent - 1, exponent - 1], 1))


def test_modf_keeps_signs_and_infinities(run):
    x = np.array([np.inf, -np.inf, -0.0, -2.0, np.nan], np.float32)
    out, exponents = np.zeros((5, 12), np.float32), np.zeros((5, 4), np.int32)
    run(TWO_RESULTS, "float32", {0: x, 1: out, 2: exponents}, (5,), (5,))
    np.testing.assert_array_equal(out[:, 2], np.float32([0, -0.0, -0.0, -0.0, np.nan]))
    np.testing.assert_array_equal(np.signbit(out[:4, 2]), [False, True, True, True])
    np.testing.assert_array_equal(out[:, 3], x)


THREE = """
template <typename T>
kernel void three(device const vec<T, 3>* in [[buffer(0)]], device T* out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  const vec<T, 3> v = in[i], w = v.yzx, u = v.zxy;
  device T* row = out + 10 * i;
  row[0] = fma(v.x, v.y, v.z); row[1] = fma(v, w, u).x;
  row[2] = nextafter(v.x, v.y); row[3] = nextafter(v, w).x;
  row[4] = fract(v.x); row[5] = fract(v).x;
  row[6] = fmax3(v.x, v.y, v.z); row[7] = fmin3(v, w, u).x; row[8] = fmedian3(v.x, v.y, v.z);
  row[9] = metal::precise::fma(v.x, v.y, v.z);
}
template [[host_name("float32")]] [[kernel]] decltype(three<float>) three<float>;
template [[host_name("float16")]] [[kernel]] decltype(three<half>) three<half>;
"""


def rounded(exact: Fraction, kind: type) -> float:
    """`exact` to the nearest `kind`, ties to even, by trying the neighbours of a first guess."""
    guess = kind(float(exact))
    ways = [guess, np.nextafter(guess, kind(-np.inf)), np.nextafter(guess, kind(np.inf))]
    bits = np.uint32 if kind is np.float32 else np.uint16
    return float(min(ways, key=lambda one: (abs(Fraction(float(one)) - exact), int(one.view(bits)) & 1)))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_functions_of_three(run, kind):
    rng = np.random.default_rng(3)
    values = rng.standard_normal((2000, 4)).astype(kind) * kind(8)
    # Sums that nearly cancel, and products far below the addend.
    values[:500, 2] = -(values[:500, 0] * values[:500, 1])
    values[500:1000, 0] *= kind(2.0**-9)
    values[1000:1500] = (values[1000:1500] * 16).round() / 16
    # 2051 - 2^-20 is below the middle of two halves, and to a float it is that middle: where rounding twice shows.
    values[1500:1504, :3] = np.array([[1 + 2**-10, 1 - 2**-10, 2050]], kind) * np.array(
        [[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]], kind
    )
    out = np.zeros((2000, 10), kind)
    run(THREE, np.dtype(kind).name, {0: values, 1: out}, (2000,), (50,))
    a, b = values[:, 0], values[:, 1]
    fused = [rounded(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)), kind) for x, y, z in values[:, :3]]
    below_one = np.nextafter(kind(1), kind(0))
    expected = [
        fused,
        fused,
        np.nextafter(a, b),
        np.nextafter(a, b),
        np.minimum((a.astype(np.float64) - np.floor(a)).astype(kind), below_one),
        np.minimum((a.astype(np.float64) - np.floor(a)).astype(kind), below_one),
        np.max(values[:, :3], 1),
        np.min(values[:, :3], 1),
        np.median(values[:, :3], 1),
        fused,
    ]
    for column, value in enumerate(expected):
        np.testing.assert_array_equal(out[:, column], np.asarray(value, kind), str(column))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_the_next_number_over_zero_and_at_the_ends(run, kind):
    info = np.finfo(kind)
    one = kind(1)
    pairs = [(0, 1), (0, -1), (info.max, np.inf), (-info.max, -np.inf), (one, one), (np.nan, 1), (1, np.nan)]
    pairs += [(np.inf, 0), (-one, 0), (info.tiny * kind(4), 0)]
    values = np.array([[a, b, 0, 0] for a, b in pairs], kind)
    out = np.zeros((len(pairs), 10), kind)
    run(THREE, np.dtype(kind).name, {0: values, 1: out}, (len(pairs),), (len(pairs),))
    with np.errstate(over="ignore"):
        expected = np.nextafter(values[:, 0], values[:, 1])
    np.testing.assert_array_equal(out[:, 2], expected)
    np.testing.assert_array_equal(out[:, 3], expected)


def test_a_fraction_is_below_one(run):
    values = np.zeros((3, 4), np.float32)
    values[:, 0] = [-1e-9, -(2.0**-30), 5.75]
    out = np.zeros((3, 10), np.float32)
    run(THREE, "float32", {0: values, 1: out}, (3,), (3,))
    assert out[:, 4].tolist() == [np.nextafter(np.float32(1), np.float32(0))] * 2 + [0.75]
