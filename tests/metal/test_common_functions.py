# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Common, relational and geometric functions (specification, sections 6.3, 6.6 and 6.8) against numpy."""

from __future__ import annotations

import numpy as np
import pytest

KINDS = pytest.mark.parametrize("kind", [np.float32, np.float16])
INSTANCES = """
template [[host_name("float32")]] [[kernel]] decltype(run<float>) run<float>;
template [[host_name("float16")]] [[kernel]] decltype(run<half>) run<half>;
"""
HEAD = """
template <typename T>
kernel void run(device const vec<T, 4>* in [[buffer(0)]], device T* out [[buffer(1)]],
                uint i [[thread_position_in_grid]]) {
  using T3 = vec<T, 3>;
  const T x = in[i].x, y = in[i].y, z = in[i].z;
  const T3 v = in[i].xyz, w = v.zxy, u = v.yzx;
"""


def triples(kind: type, seed: int) -> np.ndarray:
    """800 rows of three numbers (and one for the alignment): some equal, some zero, some negative."""
    values = np.random.default_rng(seed).standard_normal((800, 4)).astype(kind) * kind(2)
    values[:100] = np.rint(values[:100])
    values[100:120, 1] = values[100:120, 0]
    values[120:130] = 0
    return values


COMMON = f"""{HEAD}
  device T* row = out + 24 * i;
  row[0] = abs(x); row[1] = max(x, y); row[2] = min(x, y); row[3] = clamp(x, min(y, z), max(y, z));
  row[4] = max3(x, y, z); row[5] = min3(x, y, z); row[6] = median3(x, y, z); row[7] = saturate(x);
  row[8] = sign(x); row[9] = step(x, y); row[10] = mix(x, y, z); row[11] = smoothstep(T(-1), T(2), x);
  row[12] = abs(v).x; row[13] = metal::fast::max(v, u).x; row[14] = min(v, y).x;
  row[15] = clamp(v, min(y, z), max(y, z)).x;
  row[16] = max3(v, u, w).x; row[17] = min3(v, y, w).x; row[18] = metal::precise::median3(v, u, w).x;
  row[19] = metal::fast::saturate(v).x;
  row[20] = metal::precise::sign(v).x; row[21] = step(v, u).x; row[22] = mix(v, u, z).x;
  row[23] = smoothstep(T3(-1), 2, v).x;
}}
{INSTANCES}"""


@KINDS
def test_common_functions(run, kind):
    values = triples(kind, 1)
    out = np.zeros((800, 24), kind)
    run(COMMON, np.dtype(kind).name, {0: values, 1: out}, (800,), (32,))
    x, y, z = (values[:, i] for i in range(3))
    one, three = kind(1), kind(3)
    t = np.clip((x + one) / three, kind(0), one)
    expected = [
        np.abs(x),
        np.maximum(x, y),
        np.minimum(x, y),
        np.clip(x, np.minimum(y, z), np.maximum(y, z)),
        np.max(values[:, :3], 1),
        np.min(values[:, :3], 1),
        np.median(values[:, :3], 1),
        np.clip(x, 0, 1),
        np.sign(x),
        np.where(y < x, 0, 1),
        x + (y - x) * z,
        t * t * (three - kind(2) * t),
    ]
    for j, value in enumerate(expected):
        # Every operation of the model rounds as the kernel's does, so that the bits are the same.
        np.testing.assert_array_equal(out[:, j], value.astype(kind), str(j))
        np.testing.assert_array_equal(out[:, 12 + j], value.astype(kind), f"vector {j}")


@KINDS
def test_of_two_numbers_one_a_nan_the_other_is_taken(run, kind):
    nan, inf = np.nan, np.inf
    values = np.array([[nan, 3, 4, 0], [3, nan, 4, 0], [nan, nan, nan, 0], [-0.0, 0, 0, 0], [inf, -inf, 0, 0]], kind)
    out = np.zeros((5, 24), kind)
    run(COMMON, np.dtype(kind).name, {0: values, 1: out}, (5,), (5,))
    np.testing.assert_array_equal(out[:, 1], kind([3, 3, nan, 0, inf]))
    np.testing.assert_array_equal(out[:, 2], kind([3, 3, nan, 0, -inf]))
    np.testing.assert_array_equal(out[:, 7], kind([0, 1, 0, 0, 1]))  # fmin(fmax(x, 0), 1)
    np.testing.assert_array_equal(out[:, 8], kind([0, 1, 0, -0.0, 1]))
    assert np.signbit(out[3, 8])


RELATIONAL = f"""{HEAD}
  device T* row = out + 20 * i;
  row[0] = isfinite(x); row[1] = isinf(x); row[2] = isnan(x); row[3] = isnormal(x); row[4] = signbit(x);
  row[5] = isordered(x, y); row[6] = isunordered(x, y); row[7] = select(x, y, isnan(x));
  row[8] = isfinite(v).x; row[9] = isinf(v).x; row[10] = isnan(v).x; row[11] = isnormal(v).x; row[12] = signbit(v).x;
  row[13] = isordered(v, u).x; row[14] = isunordered(v, y).x; row[15] = select(v, u, isnan(v)).x;
  row[16] = all(isnan(v)); row[17] = any(isnan(v)); row[18] = all(x == x); row[19] = any(x != x);
}}
{INSTANCES}"""


@KINDS
def test_relational_functions(run, kind):
    info = np.finfo(kind)
    picked = [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, -np.nan, info.tiny, info.smallest_subnormal, info.max]
    picked += [-info.tiny, -info.smallest_subnormal, -info.max]
    x, y = (grid.ravel() for grid in np.meshgrid(np.array(picked, kind), np.array(picked, kind)))
    values = np.stack([x, y, x, y], 1)
    out = np.zeros((x.size, 20), kind)
    run(RELATIONAL, np.dtype(kind).name, {0: values, 1: out}, (x.size,), (14,))
    nan = np.isnan(x)
    unordered = nan | np.isnan(y)
    normal = np.isfinite(x) & (np.abs(x) >= info.tiny)
    expected = [np.isfinite(x), np.isinf(x), nan, normal, np.signbit(x), ~unordered, unordered, np.where(nan, y, x)]
    for j, value in enumerate(expected):
        np.testing.assert_array_equal(out[:, j], value.astype(kind), str(j))
        np.testing.assert_array_equal(out[:, 8 + j], value.astype(kind), f"vector {j}")
    for j, value in enumerate((nan & np.isnan(y), unordered, ~nan, nan), 16):
        np.testing.assert_array_equal(out[:, j], value.astype(kind), str(j))


GEOMETRIC = f"""{HEAD}
  device T* row = out + 24 * i;
  row[0] = dot(v, w); row[1] = length_squared(v); row[2] = length(v); row[3] = distance(v, w);
  row[4] = distance_squared(v, w); row[5] = metal::fast::length(v.xy); row[6] = metal::precise::dot(in[i], in[i].wzyx);
  const T3 many[] = {{cross(v, w), normalize(v), metal::fast::normalize(v), faceforward(v, w, u),
                      reflect(v, normalize(w)), refract(normalize(v), normalize(w), T(0.75))}};
  row[7] = metal::precise::distance(v, w);
  for (int j = 0; j < 5; j++) {{
    row[8 + 3 * j] = many[j].x; row[9 + 3 * j] = many[j].y; row[10 + 3 * j] = many[j].z;
  }}
  row[23] = many[5].x;
}}
{INSTANCES}"""


@KINDS
def test_geometric_functions(run, kind):
    values = triples(kind, 2)
    values = values[np.linalg.norm(values[:, :3].astype(np.float64), axis=1) > 0.1]
    out = np.zeros((len(values), 24), kind)
    run(GEOMETRIC, np.dtype(kind).name, {0: values, 1: out}, (len(values),), (20,))
    v = values[:, :3].astype(np.float64)
    w, u = v[:, [2, 0, 1]], v[:, [1, 2, 0]]
    unit_v, unit_w = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (v, w))
    cosine = (unit_v * unit_w).sum(1)
    k = 1 - 0.75**2 * (1 - cosine**2)
    refracted = np.where(k < 0, 0, 0.75 * unit_v[:, 0] - (0.75 * cosine + np.sqrt(np.abs(k))) * unit_w[:, 0])
    wide = values.astype(np.float64)
    expected = [
        (v * w).sum(1),
        (v * v).sum(1),
        np.linalg.norm(v, axis=1),
        np.linalg.norm(v - w, axis=1),
        ((v - w) ** 2).sum(1),
        np.linalg.norm(v[:, :2], axis=1),
        (wide * wide[:, ::-1]).sum(1),
        np.linalg.norm(v - w, axis=1),
        *np.cross(v, w).T,
        *unit_v.T,
        *unit_v.T,
        *np.where((u * w).sum(1, keepdims=True) < 0, v, -v).T,
        *(v - 2 * (v * unit_w).sum(1, keepdims=True) * unit_w).T,
        refracted,
    ]
    # Up to a dozen operations, each within half an epsilon of what went in, whose squares and products are below
    # size^2: an absolute error of 12 epsilon * size^2. Near k = 0 the root in refract turns an error e into sqrt(e).
    size = np.maximum(1, np.linalg.norm(wide, axis=1)) ** 2
    bound = 12 * float(np.finfo(kind).eps) * size
    for j, value in enumerate(expected[:-1]):
        assert (np.abs(out[:, j] - value) <= bound).all(), j
    assert (np.abs(out[:, 23] - refracted) <= np.sqrt(bound) + bound).all()
