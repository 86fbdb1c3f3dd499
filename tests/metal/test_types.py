# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Conversions, literals, limits, constants, traits, arrays (specification, sections 2.1, 2.12, 2.20, 6.2 and 8.6)."""

from __future__ import annotations

import numpy as np
import pytest

from porter.errors import MetalError
from porter.metal import Library

INTEGERS = {
    "char": np.int8,
    "uchar": np.uint8,
    "short": np.int16,
    "ushort": np.uint16,
    "int": np.int32,
    "uint": np.uint32,
    "long": np.int64,
    "ulong": np.uint64,
}

CONVERSIONS = """
template <typename From, typename To>
kernel void convert(device const From* in [[buffer(0)]], device To* out [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
  out[3 * i] = To(in[i]);
  out[3 * i + 1] = in[i];
  out[3 * i + 2] = vec<To, 3>(vec<From, 3>(From(0), From(0), in[i])).z;
}
#define instantiate(From, To) \\
  template [[host_name(#From "_" #To)]] [[kernel]] decltype(convert<From, To>) convert<From, To>;
#define integers(From) instantiate(From, char) instantiate(From, uchar) instantiate(From, short) \\
  instantiate(From, ushort) instantiate(From, int) instantiate(From, uint) instantiate(From, long) \\
  instantiate(From, ulong) instantiate(From, bool)
integers(float) integers(half) integers(bfloat)
"""


def upper_halves(values: np.ndarray) -> np.ndarray:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


FLOATS = np.array(
    [
        0.0,
        -0.0,
        0.5,
        -0.5,
        0.999,
        -0.999,
        1.5,
        -1.5,
        2.5,
        126.9,
        127.5,
        128,
        -128.9,
        -129.5,
        255.5,
        256,
        300,
        -300,
        32767.5,
        32768,
        -32768.5,
        -33000,
        65504,
        65535.5,
        65536,
        -1,
        -7,
        2**31,
        -(2.0**31),
        2**31 - 128,
        2**32,
        2**33,
        2**63,
        -(2.0**63),
        2.0**64,
        -(2.0**64),
        1e20,
        -1e20,
        3e38,
        np.inf,
        -np.inf,
        np.nan,
        -np.nan,
    ],
    np.float32,
)


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("source", ["float", "half", "bfloat"])
def test_floats_become_integers_by_truncation_and_stay_in_range(run, source, to):
    # Truncation is the specification's. Out of range it leaves the result open; here it is the nearest integer there
    # is, and zero for a NaN (docs/msl.md).
    kind = INTEGERS[to]
    with np.errstate(over="ignore"):
        bits = {"float": FLOATS, "half": FLOATS.astype(np.float16), "bfloat": upper_halves(FLOATS)}[source]
        exact = {"float": FLOATS, "half": FLOATS.astype(np.float16)}.get(source)
    if exact is None:
        exact = (bits.astype(np.uint32) << 16).view(np.float32)
    out = np.zeros((bits.size, 3), kind)
    run(CONVERSIONS, f"{source}_{to}", {0: bits, 1: out}, (bits.size,), (8,))
    info = np.iinfo(kind)
    for value, row in zip(exact.astype(np.float64), out, strict=True):
        if np.isnan(value):
            expected = 0
        elif np.isinf(value):
            expected = info.max if value > 0 else info.min
        else:
            expected = min(max(int(value), info.min), info.max)
        assert row.tolist() == [expected] * 3, value


@pytest.mark.parametrize("source", ["float", "half", "bfloat"])
def test_floats_become_true_unless_zero(run, source):
    with np.errstate(over="ignore"):
        bits = {"float": FLOATS, "half": FLOATS.astype(np.float16), "bfloat": upper_halves(FLOATS)}[source]
    out = np.zeros((bits.size, 3), np.uint8)
    run(CONVERSIONS, f"{source}_bool", {0: bits, 1: out}, (bits.size,), (8,))
    assert out.tolist() == [[int(value != 0)] * 3 for value in FLOATS]


FROM_INTEGERS = """
template <typename From>
kernel void convert(device const From* in [[buffer(0)]], device float* floats [[buffer(1)]],
                    device half* halves [[buffer(2)]], device bfloat* bfloats [[buffer(3)]],
                    uint i [[thread_position_in_grid]]) {
  floats[i] = in[i]; halves[i] = half(in[i]); bfloats[i] = bfloat(in[i]);
}
#define instantiate(From) template [[host_name(#From)]] [[kernel]] decltype(convert<From>) convert<From>;
instantiate(char) instantiate(uchar) instantiate(short) instantiate(ushort)
instantiate(int) instantiate(uint) instantiate(long) instantiate(ulong)
"""


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_become_the_nearest_float(run, name):
    info = np.iinfo(INTEGERS[name])
    rng = np.random.default_rng(1)
    values = [rng.integers(info.min, info.max, 500, INTEGERS[name], endpoint=True) >> s for s in range(info.bits)]
    values = np.concatenate([*values, np.array([0, 1, info.min, info.max], INTEGERS[name])])
    floats, halves, bfloats = (np.zeros(values.size, t) for t in (np.float32, np.float16, np.uint16))
    run(FROM_INTEGERS, name, {0: values, 1: floats, 2: halves, 3: bfloats}, (values.size,), (100,))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(floats, values.astype(np.float32))
        np.testing.assert_array_equal(halves, values.astype(np.float32).astype(np.float16))
    # Through float, to the nearest multiple of the step at that size, ties to even.
    step = np.exp2(np.floor(np.log2(np.maximum(np.abs(floats.astype(np.float64)), 1))) - 7)
    expected = np.rint(floats / step) * step
    np.testing.assert_array_equal((bfloats.astype(np.uint32) << 16).view(np.float32), expected.astype(np.float32))


LITERALS = """
kernel void literals(device float* out [[buffer(0)]], device half* halves [[buffer(1)]],
                     device bfloat* bfloats [[buffer(2)]]) {
  static_assert(sizeof(1.0f + 1.0) == 4 && 0.1 == 0.1f, "a literal is single precision");
  static_assert(is_same_v<decltype(1.0h), half> && is_same_v<decltype(2h), half>, "half");
  out[0] = 0.1; out[1] = 0.1f + 0.2; out[2] = 1e39 > FLT_MAX;
  halves[0] = 0.1h; halves[1] = 3h; halves[2] = 0.1h + 0.2h;
  bfloats[0] = bfloat(0.1); bfloats[1] = 3; bfloats[2] = -bfloat(0.1); bfloats[3] = +bfloat(0.1h + 0.0);
  bfloat counter = 5;
  bfloats[4] = counter++; bfloats[5] = ++counter; bfloats[6] = counter--; bfloats[7] = --counter;
}
"""


def test_literals(run):
    out, halves, bfloats = np.zeros(3, np.float32), np.zeros(3, np.float16), np.zeros(8, np.uint16)
    run(LITERALS, "literals", {0: out, 1: halves, 2: bfloats}, (1,), (1,))
    assert out.tolist() == [np.float32(0.1), np.float32(0.1) + np.float32(0.2), 1]
    assert halves.tolist() == [np.float16(0.1), 3, np.float16(0.1) + np.float16(0.2)]
    found = (bfloats.astype(np.uint32) << 16).view(np.float32)
    # 0.1 is 0x3DCCCCCD, whose upper half rounds up to 0x3DCD; the half next to it, 0x3DCCC000, does too.
    tenth = np.uint32(0x3DCD0000).view(np.float32)
    assert found.tolist() == [tenth, 3, -tenth, tenth, 5, 7, 7, 5]


LIMITS = """
template <typename T>
kernel void limits(device T* out [[buffer(0)]], device int* numbers [[buffer(1)]]) {
  using Limits = numeric_limits<T>;
  out[0] = Limits::min(); out[1] = Limits::max(); out[2] = Limits::lowest();
  out[3] = Limits::epsilon(); out[4] = Limits::infinity(); out[5] = Limits::quiet_NaN();
  numbers[0] = Limits::digits; numbers[1] = Limits::is_integer; numbers[2] = Limits::is_signed;
  numbers[3] = Limits::has_infinity; numbers[4] = Limits::digits10;
  if constexpr (!Limits::is_integer) {
    out[6] = Limits::denorm_min(); out[7] = Limits::round_error();
    numbers[5] = Limits::max_exponent; numbers[6] = Limits::min_exponent; numbers[7] = Limits::max_digits10;
  }
}
#define instantiate(T) template [[host_name(#T)]] [[kernel]] decltype(limits<T>) limits<T>;
instantiate(char) instantiate(uchar) instantiate(short) instantiate(ushort) instantiate(int) instantiate(uint)
instantiate(long) instantiate(ulong) instantiate(float) instantiate(half) instantiate(bfloat)
"""


@pytest.mark.parametrize("name", INTEGERS)
def test_limits_of_integers(run, name):
    info = np.iinfo(INTEGERS[name])
    out, numbers = np.zeros(8, INTEGERS[name]), np.zeros(8, np.int32)
    run(LIMITS, name, {0: out, 1: numbers}, (1,), (1,))
    assert out.tolist() == [info.min, info.max, info.min, 0, 0, 0, 0, 0]
    signed = int(info.min < 0)
    assert numbers.tolist() == [info.bits - signed, 1, signed, 0, len(str(info.max)) - 1, 0, 0, 0]


@pytest.mark.parametrize(("name", "kind"), [("float", np.float32), ("half", np.float16)])
def test_limits_of_floats(run, name, kind):
    info = np.finfo(kind)
    out, numbers = np.zeros(8, kind), np.zeros(8, np.int32)
    run(LIMITS, name, {0: out, 1: numbers}, (1,), (1,))
    expected = [info.tiny, info.max, -info.max, info.eps, np.inf, np.nan, info.smallest_subnormal, 0.5]
    np.testing.assert_array_equal(out, np.array(expected, kind))
    expected = [info.nmant + 1, 0, 1, 1, info.precision, info.maxexp, info.minexp + 1]
    assert numbers[:7].tolist() == expected
    assert numbers[7] == {"float": 9, "half": 5}[name]


def test_limits_of_bfloat(run):
    out, numbers = np.zeros(8, np.uint16), np.zeros(8, np.int32)
    run(LIMITS, "bfloat", {0: out, 1: numbers}, (1,), (1,))
    assert out.tolist() == [0x0080, 0x7F7F, 0xFF7F, 0x3C00, 0x7F80, 0x7FC0, 0x0001, 0x3F00]
    assert numbers.tolist() == [8, 0, 1, 1, 2, 128, -125, 4]


# name -> value, as C and the specification's table 6.5 have them; halves are rounded floats.
FLOAT_CONSTANTS = {
    "M_E": np.e, "M_LOG2E": np.log2(np.e), "M_LOG10E": np.log10(np.e), "M_LN2": np.log(2), "M_LN10": np.log(10),
    "M_PI": np.pi, "M_PI_2": np.pi / 2, "M_PI_4": np.pi / 4, "M_1_PI": 1 / np.pi, "M_2_PI": 2 / np.pi,
    "M_2_SQRTPI": 2 / np.sqrt(np.pi), "M_SQRT2": np.sqrt(2), "M_SQRT1_2": np.sqrt(0.5),
}  # fmt: skip
OTHER_CONSTANTS = {
    "CHAR_BIT": 8, "CHAR_MAX": 127, "CHAR_MIN": -128, "SCHAR_MAX": 127, "SCHAR_MIN": -128, "UCHAR_MAX": 255,
    "SHRT_MAX": 2**15 - 1, "SHRT_MIN": -(2**15), "USHRT_MAX": 2**16 - 1, "INT_MAX": 2**31 - 1, "INT_MIN": -(2**31),
    "UINT_MAX": 2**32 - 1, "LONG_MAX": 2**63 - 1, "LONG_MIN": -(2**63), "ULONG_MAX": -1,
    "FLT_DIG": 6, "FLT_MANT_DIG": 24, "FLT_RADIX": 2, "FLT_MAX_EXP": 128, "FLT_MIN_EXP": -125,
    "FLT_MAX_10_EXP": 38, "FLT_MIN_10_EXP": -37, "HALF_DIG": 3, "HALF_MANT_DIG": 11, "HALF_RADIX": 2,
    "HALF_MAX_EXP": 16, "HALF_MIN_EXP": -13, "HALF_MAX_10_EXP": 4, "HALF_MIN_10_EXP": -4,
    "FP_ILOGB0": -(2**31), "FP_ILOGBNAN": 2**31 - 1,
}  # fmt: skip
REALS = {
    "INFINITY": np.inf, "NAN": np.nan, "HUGE_VALF": np.inf, "HUGE_VALH": np.inf,
    "MAXFLOAT": np.finfo(np.float32).max, "FLT_MAX": np.finfo(np.float32).max, "FLT_MIN": np.finfo(np.float32).tiny,
    "FLT_EPSILON": np.finfo(np.float32).eps, "MAXHALF": 65504, "HALF_MAX": 65504, "HALF_MIN": 2.0**-14,
    "HALF_EPSILON": 2.0**-10,
}  # fmt: skip


def test_constants(run):
    source = "kernel void constants(device float* f [[buffer(0)]], device half* h [[buffer(1)]],\n"
    source += "                      device long* n [[buffer(2)]], device float* r [[buffer(3)]]) {\n"
    for j, name in enumerate(FLOAT_CONSTANTS):
        source += f"  f[{j}] = {name}_F; h[{j}] = {name}_H;\n"
        source += f'  static_assert(sizeof({name}_F) == 4 && sizeof({name}_H) == 2, "{name}");\n'
    source += "".join(f"  n[{j}] = {name};\n" for j, name in enumerate(OTHER_CONSTANTS))
    source += "".join(f"  r[{j}] = {name};\n" for j, name in enumerate(REALS)) + "}\n"
    floats, halves = np.zeros(len(FLOAT_CONSTANTS), np.float32), np.zeros(len(FLOAT_CONSTANTS), np.float16)
    numbers, reals = np.zeros(len(OTHER_CONSTANTS), np.int64), np.zeros(len(REALS), np.float32)
    run(source, "constants", {0: floats, 1: halves, 2: numbers, 3: reals}, (1,), (1,))
    np.testing.assert_array_equal(floats, np.array(list(FLOAT_CONSTANTS.values()), np.float32))
    np.testing.assert_array_equal(halves, np.array(list(FLOAT_CONSTANTS.values())).astype(np.float16))
    assert numbers.tolist() == list(OTHER_CONSTANTS.values())
    np.testing.assert_array_equal(reals, np.array(list(REALS.values()), np.float32))


TRAITS = """
struct Base {}; struct Derived : Base {}; union Either { int a; float b; };
enum Few { one }; enum class Scoped : short { a }; struct WithField { int x; };
#define SAME(...) static_assert(is_same_v<__VA_ARGS__>, #__VA_ARGS__)
#define YES(...) static_assert(__VA_ARGS__, #__VA_ARGS__)
#define NO(...) static_assert(!(__VA_ARGS__), #__VA_ARGS__)
SAME(enable_if_t<true, int>, int); SAME(conditional_t<true, int, float>, int);
SAME(conditional_t<false, int, float>, float);
SAME(enable_if<true>::type, void); SAME(conditional<true, int, float>::type, int);
#define MAKES(name, From, To) SAME(name##_t<From>, To); SAME(name<From>::type, To)
MAKES(remove_cv, const volatile int, int); MAKES(remove_const, const int, int);
MAKES(remove_volatile, volatile int, int);
MAKES(remove_reference, int&, int); MAKES(remove_pointer, int*, int); MAKES(remove_extent, int[3][4], int[4]);
MAKES(remove_all_extents, int[3][4], int); MAKES(add_const, int, const int); MAKES(add_volatile, int, volatile int);
MAKES(add_cv, int, const volatile int); MAKES(add_pointer, int&, int*); MAKES(add_lvalue_reference, int, int&);
MAKES(add_rvalue_reference, int, int&&); MAKES(decay, const int[3], const int*); MAKES(make_signed, uint, int);
MAKES(make_unsigned, short, ushort); MAKES(underlying_type, Scoped, short);
MAKES(remove_addrspace, device int*, device int*);
#define ASKS(name, Good, Bad) YES(name##_v<Good> && name<Good>::value); NO(name##_v<Bad> || name<Bad>::value)
ASKS(is_void, void, int); ASKS(is_integral, ulong, half); ASKS(is_integral, bool, bfloat);
ASKS(is_floating_point, half, int); ASKS(is_floating_point, bfloat, float*); ASKS(is_floating_point, const float, uint);
ASKS(is_arithmetic, bfloat, float4); ASKS(is_pointer, device int*, int); ASKS(is_enum, Few, int);
ASKS(is_scalar, bfloat, float2); ASKS(is_scalar, Few, Base); ASKS(is_fundamental, void, int*);
ASKS(is_signed, bfloat, uint);
ASKS(is_signed, half, bool); ASKS(is_signed, char, uchar); ASKS(is_unsigned, ushort, int); ASKS(is_array, int[2], int*);
ASKS(is_class, Base, Either); ASKS(is_class, WithField, bfloat); ASKS(is_union, Either, Base);
ASKS(is_function, void(int), void (*)(int)); ASKS(is_reference, int&&, int); ASKS(is_lvalue_reference, int&, int&&);
ASKS(is_rvalue_reference, int&&, int&); ASKS(is_const, const int, int); ASKS(is_volatile, volatile int, int);
ASKS(is_trivially_copyable, float4, int&);
YES(is_same<int, int>::value && is_convertible_v<half, float> && is_convertible<int, bfloat>::value);
NO(is_same_v<int, uint> || is_convertible_v<float, bfloat> || is_convertible_v<float2, int2>);
NO(is_convertible_v<Base, int>);
YES(is_base_of_v<Base, Derived> && !is_base_of<Derived, Base>::value);
YES(conjunction<true_type, true_type>::value && !conjunction<true_type, false_type>::value);
YES(negation<false_type>::value);
YES(disjunction<false_type, true_type>::value && !disjunction<>::value && _disjunction<true_type>::value);
YES(integral_constant<int, 3>::value == 3 && integral_constant<int, 3>() == 3 && integral_constant<int, 3>{}() == 3);
YES(bool_constant<true>::value); SAME(true_type, bool_constant<true>); SAME(false_type::value_type, bool);
SAME(decltype(declval<float>() + declval<int>()), float);
SAME(uniform<uint>, uint); SAME(uniform_t<uint>::type, uint); YES(make_uniform(3) == 3);
SAME(int8_t, signed char); SAME(uint8_t, uchar); SAME(int16_t, short); SAME(uint16_t, ushort); SAME(int32_t, int);
SAME(uint32_t, uint); SAME(int64_t, long); SAME(uint64_t, ulong); SAME(size_t, ulong); SAME(ptrdiff_t, long);
SAME(metal::uint8_t, uint8_t); SAME(metal::half, half); SAME(metal::bfloat, bfloat); SAME(metal::size_t, size_t);
YES(sizeof(uchar) == 1 && sizeof(ushort) == 2 && sizeof(uint) == 4 && sizeof(ulong) == 8 && sizeof(half) == 2);

METAL_CONST int thrice = 3;
METAL_FUNC int twice(int x) { return 2 * x; }
struct Rows { metal::array<float4, 2> rows; array<ushort, 3> lengths; };
kernel void arrays(device Rows* rows [[buffer(0)]], device float* out [[buffer(1)]]) {
  constexpr array<int, 3> fixed = {{4, 5, 6}};
  YES(fixed[1] == 5 && fixed.size() == 3 && !fixed.empty() && sizeof(Rows) == 48);
  out[0] = twice(thrice) + fixed.back() + fixed.front();
  float total = 0;
  for (const device ushort& length : rows[1].lengths) total += length;
  out[1] = total;
  rows[1].rows[1].w = rows[0].rows[0].x + *rows[0].lengths.data();
  out[2] = rows[0].lengths.end() - rows[0].lengths.begin();
}
"""


def test_traits_and_arrays(run):
    rows = np.zeros(96, np.uint8)
    rows[:4].view(np.float32)[:] = 7
    rows[32:34].view(np.uint16)[:] = 9
    rows[80:86].view(np.uint16)[:] = [1, 2, 3]
    out = np.zeros(3, np.float32)
    run(TRAITS, "arrays", {0: rows, 1: out}, (1,), (1,))
    assert out.tolist() == [16, 6, 3]
    assert rows[76:80].view(np.float32)[0] == 16


MISSING = [
    ("texture2d<float, access::read> t", "texture2d"),
    ("texture_buffer<uint> t", "texture_buffer"),
    ("depth2d<float> t", "depth2d"),
    ("sampler s", "sampler"),
    ("float4x4 m", "float4x4"),
    ("half2x3 m", "half2x3"),
    ("float x = dfdx(1.0f)", "dfdx"),
    ("imageblock<float> b", "imageblock"),
    ("bfloat b = 1.0bf", "bf"),
]


@pytest.mark.parametrize(("statement", "name"), MISSING)
def test_what_is_missing_is_named_with_its_line(statement, name):
    source = "#include <metal_stdlib>\nusing namespace metal;\n"
    source += f"kernel void f(device float* x [[buffer(0)]]) {{\n  {statement};\n  x[0] = 0;\n}}\n"
    with pytest.raises(MetalError, match=name) as caught:
        Library(source)["f"]
    assert caught.value.where.startswith("source.metal:4:")
