# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of attention, of few queries and of many."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from porter.model import Field, Location, ParamsStruct
from porter.prove.cases import sdpa_vector, steel_attention
from porter.prove.cases.attention import ADDITIVE, BOOLEAN, NO_MASK, attention, laid_out
from porter.prove.cases.values import decode

from .asking import ask, family

mx = pytest.importorskip("mlx.core")

STEEL = "steel_attention_float32_bq32_bk16_bd128_wm4_wn1_maskfloat32"
NAX = "steel_attention_float16_bq64_bk32_bd64_wm4_wn1_maskbool_"


def struct(name, *fields):
    """A params struct of 4-byte numbers and, at the end, int64_t[3]; fields are `name` or `name type`."""
    made, offset, here = [], 0, Location("made.h", 1)
    for field in fields:
        field_name, _, kind = field.partition(" ")
        size = 24 if kind == "int64_t[3]" else 4
        made.append(Field(field_name, kind or "int", offset, size, here))
        offset += size
    return ParamsStruct(name, tuple(made), offset, 8, here)


PARAMS = struct(
    "AttnParams", "B", "H", "D", "qL", "kL", "gqa_factor", "scale float", "NQ", "NK", "NQ_aligned", "NK_aligned",
    "qL_rem", "kL_rem", "qL_off", *(f"{one}_strides int64_t[3]" for one in "QKVO"),
)  # fmt: skip
STRUCTS = {"AttnParams": PARAMS, "AttnMaskParams": struct("AttnMaskParams", "M_strides int64_t[3]")}


def ask_steel(host_name=STEEL, name="steel_attention", *, thorough=True):
    return dataclasses.replace(ask(name, host_name, thorough=thorough), structs=STRUCTS)


@pytest.mark.parametrize("masking", [NO_MASK, BOOLEAN, ADDITIVE, "causal"])
@pytest.mark.parametrize("sinks", [False, True])
def test_the_reference_is_what_mlx_computes(masking, sinks):
    causal = masking == "causal"
    made = attention(np.random.default_rng(1), (2, 4, 2, 5, 9, 64), "float32", 0.125, masking, sinks, causal=causal)
    operands = (mx.array(one) for one in (made.queries, made.keys, made.values))
    mask = None if made.mask is None else mx.array(made.mask)
    theirs = mx.fast.scaled_dot_product_attention(
        *operands,
        scale=made.scale,
        mask="causal" if causal else mask,
        sinks=None if made.sinks is None else mx.array(made.sinks),
        stream=mx.cpu,
    )
    np.testing.assert_allclose(made.result(), np.array(theirs), atol=2e-6)


def test_a_query_that_sees_no_key_gets_zeros():
    made = attention(np.random.default_rng(1), (1, 1, 1, 3, 9, 64), "float32", 0.125, BOOLEAN, False)
    made.mask[0, 0, 1] = False
    assert np.all(made.result()[0, 0, 1] == 0)
    assert np.all(made.result()[0, 0, 0] != 0)


def test_numbers_keep_the_bounds_on_which_tolerances_rest():
    made = attention(np.random.default_rng(1), (1, 4, 2, 8, 300, 256), "bfloat16", 1 / 16, ADDITIVE, True)
    for stored, limit in ((made.queries, 1), (made.keys, 1), (made.values, 1), (made.sinks, 4)):
        assert np.abs(decode(stored, "bfloat16")).max() <= limit
    finite = decode(made.mask, "bfloat16")
    assert np.abs(finite[np.isfinite(finite)]).max() <= 4
    assert np.isneginf(finite).any()


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3)])
def test_strides_lead_to_the_elements(order):
    tensor = np.arange(2 * 3 * 5 * 4).reshape(2, 3, 5, 4)
    memory, strides = laid_out(tensor, order, slack=2)
    index = np.indices(tensor.shape).reshape(4, -1)
    np.testing.assert_array_equal(memory.reshape(-1)[np.array(strides) @ index], tensor.reshape(-1))


def combinations(name, kernel):
    return {tuple(sorted(one.items())) for one in family(name).combinations(kernel)}


@pytest.mark.parametrize("kernel", ["sdpa_vector", "sdpa_vector_2pass_1"])
def test_all_combinations_are_launched(kernel):
    request = ask("scaled_dot_product_attention", f"{kernel}_float16_t_64_64")
    launches = list(sdpa_vector.launches(request))
    wanted = combinations("scaled_dot_product_attention", kernel)
    assert {tuple(sorted(one.constants.items())) for one in launches} == wanted
    assert len(wanted) == 24
    slots = {one.slot for one in family("scaled_dot_product_attention").kernel(kernel).arguments if not one.gate}
    for launch in launches:
        gates = {one.slot: one.gate for one in request.family.kernel(kernel).arguments if one.gate}
        bound = slots | {slot for slot, gate in gates.items() if launch.constants[gate]}
        assert set(launch.buffers) == bound


def test_two_passes_make_one():
    first = ask("scaled_dot_product_attention", "sdpa_vector_2pass_1_float_64_64")
    second = ask("scaled_dot_product_attention", "sdpa_vector_2pass_2_float_64")
    compared = 0
    for launch in sdpa_vector.launches(first):
        halves = sdpa_vector.expected(first, launch)
        if halves is None:
            continue
        partials = tuple(np.asarray(halves[slot]) for slot in (3, 4, 5))
        assert np.all(partials[2] >= sdpa_vector.LEAST_MAXIMUM)
        joined = sdpa_vector.expected(
            second, dataclasses.replace(launch, notes={"partials": partials, "special": False})
        )
        np.testing.assert_allclose(joined[3].reshape(-1), launch.notes["attention"].result().reshape(-1), atol=1e-12)
        compared += 1
    assert compared == 20  # a boolean mask beside the causal mode is not compared


def test_queries_are_stored_as_the_constant_says():
    request = ask("scaled_dot_product_attention", "sdpa_vector_float_64_64")
    for launch in sdpa_vector.launches(request):
        queries = launch.notes["attention"].queries
        rows = queries.reshape(-1, *queries.shape[-2:])
        stored = launch.buffers[0]
        back = stored.transpose(1, 0, 2) if launch.constants["query_transposed"] else stored
        np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize(("name", "host_name", "bq", "bk"), [
    ("steel_attention", STEEL, 32, 16), ("steel_attention_nax", NAX, 64, 32),
])  # fmt: skip
def test_lengths_are_as_the_constants_say(name, host_name, bq, bk):
    request = ask_steel(host_name, name)
    launches = list(steel_attention.launches(request))
    assert {tuple(sorted(one.constants.items())) for one in launches} == combinations(name, request.row.template)
    fewer = False
    for launch in launches:
        made = launch.notes["attention"]
        queries, keys = made.queries.shape[2], made.keys.shape[2]
        assert launch.constants["align_Q"] == (queries % bq == 0)
        assert launch.constants["align_K"] == (keys % bk == 0)
        assert keys >= queries or not launch.constants["do_causal"]
        assert launch.threads[0] == 32 * math.ceil(queries / bq)
        fewer |= keys < queries
    assert fewer


def test_parameters_are_laid_out_as_the_struct():
    (launch,) = steel_attention.launches(ask_steel(thorough=False))
    made = launch.notes["attention"]
    words = np.frombuffer(launch.buffers[4][:56], np.int32)
    batch, heads, queries, dimension = made.queries.shape
    assert tuple(words[:5]) == (batch, heads, dimension, queries, made.keys.shape[2])
    strides = np.frombuffer(launch.buffers[4][56:], np.int64).reshape(4, 3)
    index = np.indices(made.queries.shape).reshape(4, -1)
    whole = np.array([*strides[0], 1]) @ index
    np.testing.assert_array_equal(launch.buffers[0].reshape(-1)[whole], made.queries.reshape(-1))
    assert tuple(strides[3]) == (queries * heads * dimension, dimension, heads * dimension)


def test_scaled_queries_lose_nothing():
    """scale log2(e) is a power of two as float32, so that the product with a query of any dtype is exact."""
    factor = np.float32(np.float32(steel_attention.SCALE) * np.float32(1.44269504089))
    for kind in (np.float16, np.float32):
        assert kind(factor) == kind(0.125)


def test_only_queries_of_which_upstream_compares_too_few_keys_are_left_out():
    left_out = {}
    for launch in steel_attention.launches(ask_steel()):
        if launch.constants["do_causal"] and not launch.notes["special"]:
            seen = steel_attention._too_much_seen(ask_steel(), launch)
            left_out[launch.constants["align_Q"], launch.constants["align_K"]] = int(seen.sum())
    # 39 queries, 64 keys: tiles of keys from 32 on are compared, and queries 0 to 5 are places 25 to 30
    assert left_out == {(False, False): 0, (False, True): 6, (True, False): 0, (True, True): 0}
