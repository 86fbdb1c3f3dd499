# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The references of softmax, logsumexp, the normalisations, rope, arg_reduce, scans and sorts, beside torch and MLX."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from porter.prove.cases.normalization import EPSILON
from porter.prove.cases.rope import BASE, SCALE
from porter.prove.cases.values import decode

from .asking import ask, family

torch = pytest.importorskip("torch")
mx = pytest.importorskip("mlx.core")


def references(name, host_name):
    """(launch, reference) where there is one."""
    module = importlib.import_module(f"porter.prove.cases.{family(name).cases}")
    request = ask(name, host_name)
    found = [(launch, module.expected(request, launch)) for launch in module.launches(request)]
    assert any(one is not None for _, one in found)
    return [(launch, one) for launch, one in found if one is not None]


def double(stored, dtype="float32"):
    return torch.from_numpy(np.ascontiguousarray(decode(np.asarray(stored), dtype)))


@pytest.mark.parametrize("host_name", ["block_softmax_float32", "looped_softmax_precise_float16"])
def test_softmax(host_name):
    for launch, found in references("softmax", host_name):
        theirs = torch.softmax(double(launch.buffers[0], host_name.rpartition("_")[2]), 1)
        np.testing.assert_allclose(found[1], theirs.numpy(), rtol=1e-13)


@pytest.mark.parametrize("host_name", ["block_logsumexp_float32", "looped_logsumexp_bfloat16"])
def test_logsumexp(host_name):
    for launch, found in references("logsumexp", host_name):
        theirs = torch.logsumexp(double(launch.buffers[0], host_name.rpartition("_")[2]), 1)
        np.testing.assert_allclose(found[1], theirs.numpy(), rtol=1e-13, atol=1e-13)


def columns(stored, stride, size):
    """What a kernel reads of a weight or a bias, as a parameter of torch."""
    values = double(stored)[:: max(stride, 1)][:size]
    return values.expand(size).clone()


@pytest.mark.parametrize("host_name", ["layer_normfloat32", "layer_norm_loopedfloat32"])
def test_layer_norm(host_name):
    for launch, found in references("layer_norm", host_name):
        case = launch.notes["case"]
        w = columns(launch.buffers[1], case.stride, case.size)
        b = columns(launch.buffers[2], case.bias_stride, case.size)
        x = double(launch.buffers[0])
        theirs = torch.nn.functional.layer_norm(x, (case.size,), w, b, EPSILON)
        np.testing.assert_allclose(found[3], theirs.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("host_name", ["rmsfloat32", "rms_loopedfloat32"])
def test_rms_norm(host_name):
    for launch, found in references("rms_norm", host_name):
        case = launch.notes["case"]
        theirs = torch.nn.functional.rms_norm(
            double(launch.buffers[0]), (case.size,), columns(launch.buffers[1], case.stride, case.size), EPSILON
        )
        np.testing.assert_allclose(found[2], theirs.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "host_name"),
    [
        ("layer_norm", "vjp_layer_normfloat32"),
        ("layer_norm", "vjp_layer_norm_loopedfloat32"),
        ("rms_norm", "vjp_rmsfloat32"),
        ("rms_norm", "vjp_rms_loopedfloat32"),
    ],
)
def test_gradients(name, host_name):
    """Against torch's own differentiation. The kernels leave summing the weight's gradient over rows to a reduction."""
    both = set()
    for launch, found in references(name, host_name):
        case, has_w = launch.notes["case"], launch.constants["has_w"]
        both.add(has_w)
        x, g = double(launch.buffers[0]).requires_grad_(), double(launch.buffers[2])
        w = columns(launch.buffers[1], case.stride, case.size)
        each = w.expand(x.shape).clone().requires_grad_()  # a weight for every row: its gradient is not summed
        if name == "layer_norm":
            normal = torch.nn.functional.layer_norm(x, (case.size,), eps=EPSILON)
        else:
            normal = torch.nn.functional.rms_norm(x, (case.size,), eps=EPSILON)
        (normal * each * g).sum().backward()
        finite = ~torch.isnan(x).any(1).numpy()
        np.testing.assert_allclose(found[3][finite], x.grad.numpy()[finite], rtol=1e-8, atol=1e-8)
        if has_w:
            np.testing.assert_allclose(found[4][finite], each.grad.numpy()[finite], rtol=1e-8, atol=1e-8)
        else:
            np.testing.assert_array_equal(found[4], decode(np.asarray(launch.buffers[4]), "float32"))
    assert both == {False, True}


def test_rope_is_what_mlx_makes_of_it():
    """MLX's own rope, forward, of whole heads that begin at one position."""
    compared = 0
    for launch, found in references("rope", "rope_float32"):
        case, constants = launch.notes["case"], launch.constants
        if constants["forward"] and case.one_offset:
            theirs = mx.fast.rope(
                mx.array(launch.notes["x"]), case.rotated, traditional=constants["traditional"], base=BASE,
                scale=SCALE, offset=int(launch.notes["offsets"][0]), stream=mx.cpu,
            )  # fmt: skip
            rotated = np.array(theirs)[..., : case.rotated]
            np.testing.assert_allclose(found[1][..., : case.rotated], rotated, rtol=1e-4, atol=1e-4)
            compared += 1
    assert compared >= 4


def test_the_gradient_of_rope_turns_back():
    launches = {}
    for launch, found in references("rope", "rope_single_float32"):
        launches.setdefault((launch.what, launch.constants["traditional"]), {})[launch.constants["forward"]] = (
            launch,
            found,
        )
    for pair in launches.values():
        (forward, there), (_, _) = pair[True], pair[False]
        case = forward.notes["case"]
        turned = np.nan_to_num(there[1][..., : case.rotated], posinf=0, neginf=0)
        ordinary = np.nan_to_num(forward.notes["x"][..., : case.rotated].astype(np.float64), posinf=0, neginf=0)
        lengths = [
            (values**2).sum() for values in (turned[:, 1:], ordinary[:, 1:])
        ]  # the first head has the awkward ones
        assert lengths[0] == pytest.approx(lengths[1])


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64"])
@pytest.mark.parametrize("order", ["inclusive", "exclusive", "reverse_inclusive", "reverse_exclusive"])
def test_scans_are_what_mlx_makes_of_them(dtype, order):
    functions = {"sum": mx.cumsum, "prod": mx.cumprod, "max": mx.cummax, "min": mx.cummin}
    for op, function in functions.items():
        for launch, found in references("scan", f"strided_scan_{order}_{op}_{dtype}_{dtype}"):
            values = launch.notes["operand"]
            if np.issubdtype(values.dtype, np.floating):
                values = np.where(np.abs(values) < 2.0**-126, 0, values)
            theirs = function(
                mx.array(values), axis=1, reverse="reverse" in order, inclusive="inclusive" in order, stream=mx.cpu
            )
            np.testing.assert_array_equal(found[1], np.array(theirs))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "uint64"])
def test_sorts_are_what_mlx_and_torch_make_of_them(dtype):
    for launch, found in references("sort", f"c_block_sort_{dtype}_{dtype}_bn64_tn4"):
        columns, size = "columns" in launch.what, int.from_bytes(launch.buffers[2], "little")
        values, results = (np.asarray(one) for one in (launch.buffers[0], found[1]))
        rows = int(launch.threads[1])
        values, results = (
            one[: rows * size].reshape(size, rows).T if columns else one[: rows * size].reshape(rows, size)
            for one in (values, results)
        )
        if dtype == "float16":  # of which MLX's CPU does not put a NaN last (0.30.1); the kernels do
            theirs = torch.sort(torch.from_numpy(np.ascontiguousarray(values)), dim=1).values.numpy()
        else:
            theirs = np.array(mx.sort(mx.array(values), axis=1))
        np.testing.assert_allclose(results, theirs, atol=1.2e-38, rtol=0)
    if dtype == "uint64":
        return  # torch sorts none
    for launch, found in references("sort", f"carg_block_sort_{dtype}_uint32_bn64_tn4"):
        if "rows" in launch.what:
            size = int.from_bytes(launch.buffers[2], "little")
            values = np.asarray(launch.buffers[0])[: launch.threads[1] * size].reshape(-1, size)
            if dtype == "float32":
                values = np.where(np.abs(values) < 2.0**-126, np.float32(0), values)
            order = torch.sort(torch.from_numpy(np.ascontiguousarray(values)), dim=1, stable=True).indices
            np.testing.assert_array_equal(found[1][: values.size].reshape(values.shape), order.numpy())


@pytest.mark.parametrize("op", ["sum", "prod", "min", "max"])
def test_reductions_are_what_torch_makes_of_them(op):
    functions = {"sum": torch.sum, "prod": torch.prod, "min": torch.amin, "max": torch.amax}
    for launch, found in references("reduce", f"row_reduce_looped_2_reduce_{op}float32"):
        theirs = [functions[op](double(part), 1).numpy() for part in launch.notes["parts"]]
        np.testing.assert_allclose(found[1], np.concatenate(theirs), atol=1.2e-38, rtol=0)
