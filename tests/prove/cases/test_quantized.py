# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of products with quantized weights, and of quantize and dequantize."""

from __future__ import annotations

import numpy as np
import pytest

from porter.prove.cases import quantized
from porter.prove.cases.quantized_product import Format, Sizes, arguments, product, split_arguments
from porter.prove.cases.quantized_weights import grid, pack, weights
from porter.prove.cases.values import decode, encode

from .asking import ask, family, rows

mx = pytest.importorskip("mlx.core")
FAMILIES = ("quantized", "fp_quantized", "quantized_nax", "fp_quantized_nax")
MODES = [("affine", 64, bits) for bits in (2, 3, 4, 5, 6, 8)] + [("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]


def one_of_each_kernel():
    for name in FAMILIES:
        seen = set()
        for host_name, row in rows(name).items():
            if row.template not in seen:
                seen.add(row.template)
                yield name, host_name


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_codes_are_packed_as_mlx_unpacks_them(bits):
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (3, 64))
    one, none = mx.ones((3, 1)), mx.zeros((3, 1))
    theirs = mx.dequantize(mx.array(pack(codes, bits)), one, none, group_size=64, bits=bits)
    np.testing.assert_array_equal(np.array(theirs), codes)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("mode", "group_size", "bits"), MODES[:-2])  # there are no products with the last two
def test_products_of_grid_numbers_with_exact_weights_round_nothing_in_any_order(mode, group_size, bits, dtype):
    rng = np.random.default_rng(7)
    exact = np.ones((5, 1024 // group_size), bool)
    numbers = weights(rng, (), exact, mode, group_size, bits, dtype).numbers()
    x = grid(rng, (numbers.shape[-1],))
    for one in (numbers, x):
        np.testing.assert_array_equal(decode(encode(one, dtype), dtype), one)
    by_eight = x.reshape(-1, 8).sum(axis=1)  # kernels add up eight in the inputs' dtype
    np.testing.assert_array_equal(decode(encode(by_eight, dtype), dtype), by_eight)
    terms = (numbers * x).astype(np.float32)
    np.testing.assert_array_equal(terms, numbers * x)
    order = rng.permutation(terms.shape[1])
    sums = np.add.accumulate(terms[:, order], axis=1)[:, -1]  # one after another, in float32
    np.testing.assert_array_equal(sums, numbers @ x)


@pytest.mark.parametrize(("mode", "group_size", "bits"), MODES)
def test_ordinary_groups_are_not_exact(mode, group_size, bits):
    """Else a wrong rounding would go unseen: something in the other columns must need more than 8 bits."""
    made = weights(np.random.default_rng(1), (), np.zeros((4, 16), bool), mode, group_size, bits, "float32")
    if mode == "affine":
        assert not np.array_equal(decode(encode(made.numbers(), "bfloat16"), "bfloat16"), made.numbers())
    else:
        assert np.unique(made.scales).size > 4


def strided(memory, shape, strides):
    """A tensor read from flat memory by strides in elements."""
    index = np.indices(shape).reshape(len(shape), -1)
    return memory.reshape(-1)[np.asarray(strides) @ index].reshape(shape)


def read_back(named, name, last):
    """A stack of matrices as a kernel reads it: every axis by its stride."""
    side = "x" if name == "x" else "w"
    shape = np.frombuffer(named[f"{side}_shape"], np.int32)
    strides = np.frombuffer(named[f"{'x' if name == 'x' else name[0]}_strides"], np.int64)
    assert np.frombuffer(named[f"{side}_batch_ndims"], np.int32)[0] == len(shape) - 2
    return strided(named[name], (*shape[:-1], last), strides)


@pytest.mark.parametrize("sizes", [
    Sizes(3, 7, 64), Sizes(2, 7, 64, batch=(2, 2), stretched=True), Sizes(2, 7, 64, batch=(3,)),
    Sizes(2, 7, 64, batch=(2, 3), gather=True), Sizes(1, 7, 64, batch=(5,), gather=True),
])  # fmt: skip
def test_a_kernel_that_follows_the_strides_finds_the_operands(sizes):
    made = product(np.random.default_rng(3), sizes, Format("affine", 32, 4, "float32", True))
    named = arguments(made)
    x = read_back(named, "x", sizes.K).reshape(-1, sizes.M, sizes.K)
    w = read_back(named, "w", made.weights.packed.shape[-1])
    scales = read_back(named, "scales", made.weights.scales.shape[-1])
    w, scales = (one.reshape(-1, *one.shape[-2:]) for one in (w, scales))
    if sizes.gather:
        batch = np.frombuffer(named["batch_shape"], np.int32)
        lhs, rhs = (
            strided(named[f"{side}_indices"], tuple(batch), np.frombuffer(named[f"{side}_strides"], np.int64)).reshape(
                -1
            )
            for side in ("lhs", "rhs")
        )
        x, w, scales = x[lhs], w[rhs], scales[rhs]
    np.testing.assert_array_equal(x, made.x[made.lhs])
    np.testing.assert_array_equal(w, made.weights.packed[made.rhs])
    np.testing.assert_array_equal(scales, made.weights.scales[made.rhs])


def test_parts_of_k_cover_it():
    made = product(np.random.default_rng(3), Sizes(1, 64, 276, split=8), Format("affine", 32, 4, "float32", False))
    named = split_arguments(made)
    part, last = (int(np.frombuffer(named[name], np.int32)[0]) for name in ("in_vec_size", "final_block_size"))
    assert (part, last) == (35, 276 - 7 * 35)
    assert np.frombuffer(named["x_strides"], np.int64)[0] == part
    assert np.frombuffer(named["w_strides"], np.int64)[0] == part * made.weights.packed.shape[-1]


@pytest.mark.parametrize(("name", "host_name"), list(one_of_each_kernel()))
def test_every_launch_binds_every_slot_and_has_constants_that_the_host_may_ask_for(name, host_name):
    request = ask(name, host_name)
    slots = {one.slot for one in family(name).kernel(request.row.template).arguments}
    launches = list(quantized.launches(request))
    assert launches
    for launch in launches:
        assert set(launch.buffers) == slots
        assert dict(launch.constants) in family(name).combinations(request.row.template)
        assert {one.slot for one in launch.outputs} <= slots
        assert all(side % part == 0 for side, part in zip(launch.threads[1:], launch.group[1:], strict=True))


@pytest.mark.parametrize(("name", "host_name"), list(one_of_each_kernel()))
def test_something_is_expected_of_every_kernel(name, host_name):
    request = ask(name, host_name, thorough=False)
    launches = list(quantized.launches(request))
    if "qmv_quad" in host_name and "gs_128_b_2_d_64" in host_name:  # a group longer than a row: nothing is right
        assert all(quantized.expected(request, launch) is None for launch in launches)
        return
    known = [quantized.expected(request, launch) for launch in launches]
    assert sum(np.ma.masked_array(one).count() for results in known if results for one in results.values()) > 8


@pytest.mark.parametrize(
    "host_name",
    [
        "affine_qmm_t_float_gs_64_b_4_alN_false_batch_1",
        "affine_gather_qmv_float_gs_32_b_3",
        "affine_qvm_float_gs_32_b_6_batch_0",
    ],
)
def test_what_is_expected_is_what_mlx_computes(host_name):
    request = ask("quantized", host_name, thorough=False)
    (launch,) = quantized.launches(request)
    made = launch.notes["product"]
    held = made.weights[made.rhs]
    theirs = mx.quantized_matmul(
        mx.array(made.x[made.lhs]), mx.array(held.packed), mx.array(held.scales), mx.array(held.biases),
        transpose=made.format.transposed, group_size=held.group_size, bits=held.bits, stream=mx.cpu,
    )  # fmt: skip
    ((_, mine),) = quantized.expected(request, launch).items()
    np.testing.assert_array_equal(np.array(theirs)[~mine.mask], mine.compressed().astype(np.float32))


def test_the_gather_for_sorted_indices_takes_every_combination_that_its_sizes_allow():
    tail = "float_gs_64_b_4_bm_16_bn_32_bk_32_wm_1_wn_2"
    for layout, wanted in (("nn", 8), ("nt", 4)):
        launches = list(quantized.launches(ask("quantized", f"affine_gather_qmm_rhs_{layout}_{tail}")))
        assert len({tuple(sorted(launch.constants.items())) for launch in launches}) == wanted
        for launch in launches:
            sizes = launch.notes["product"].sizes
            rows_, constants = launch.notes["product"].x.shape[0], launch.constants
            assert not constants["align_M"] or rows_ % 16 == 0
            assert not constants["align_N"] or sizes.N % 32 == 0
            assert constants["align_K"] == (sizes.K % 32 == 0)
            assert np.all(np.diff(launch.notes["product"].rhs) >= 0)


def test_what_is_undefined_upstream_is_not_launched():
    for host_name in ("affine_qmv_float_gs_64_b_4_batch_0", "affine_gather_qmv_float_gs_64_b_4"):
        for launch in quantized.launches(ask("quantized", host_name)):
            assert launch.notes["product"].sizes.N not in (5, 6, 7)
    (launch,) = quantized.launches(ask("quantized", "affine_qmv_quad_float_gs_32_b_6_d_64_batch_0"))
    assert np.frombuffer(launch.buffers[6], np.int32)[0] == 0


@pytest.mark.parametrize("host_name", ["mxfp4_quantize_float_gs_32_b_4", "mxfp8_quantize_float_gs_32_b_8"])
def test_groups_that_lose_nothing_come_back(host_name):
    request = ask("fp_quantized", host_name, thorough=False)
    (launch,) = quantized.launches(request)
    known = quantized.expected(request, launch)
    even = ~np.ma.getmaskarray(known[1])[:, 0]
    words = np.ascontiguousarray(known[1].data[even]).view(np.uint32).reshape(1, -1)
    scales = known[2].data[even].reshape(1, -1)
    size, bits = int(request.axes["group_size"]), int(request.axes["bits"])
    values = mx.dequantize(mx.array(words), mx.array(scales), group_size=size, bits=bits, mode=host_name[:5])
    np.testing.assert_array_equal(np.array(values.astype(mx.float32)).reshape(-1, size), launch.notes["values"][even])
