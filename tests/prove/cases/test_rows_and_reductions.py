# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of softmax, logsumexp, the normalisations, rope, reductions, scans and sorts: what each of them must be."""

from __future__ import annotations

import importlib
import itertools
import math

import numpy as np
import pytest

from porter.errors import ProofError
from porter.prove.case import sampled
from porter.prove.cases.reductions import EXACT, operand
from porter.prove.cases.values import FLOATS, NUMPY, decode

from .asking import ask, family, of_kernel, rows

# Host names of v0.30.1's tables, and the kernels that they are of.
FAMILIES = {
    "softmax": (10, 2), "logsumexp": (6, 2), "layer_norm": (12, 4), "rms_norm": (12, 4), "rope": (18, 4),
    "arg_reduce": (24, 1), "reduce": (2168, 9), "scan": (456, 2), "sort": (245, 5),
}  # fmt: skip


def module(name):
    return importlib.import_module(f"porter.prove.cases.{family(name).cases}")


def every(name, thorough=True):
    """(request, launch) of a host name of each kernel and dtype."""
    for row in sampled(family(name), family(name).instantiations()):
        request = ask(name, row.host_name, thorough=thorough)
        for launch in module(name).launches(request):
            yield request, launch


def one_of_each_kernel(name):
    seen = {}
    for row in family(name).instantiations():
        seen.setdefault(row.template, row.host_name)
    return list(seen.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_table_is_whole(name):
    assert (len(rows(name)), len(family(name).kernels)) == FAMILIES[name]
    assert {row.template for row in rows(name).values()} == set(family(name).kernel_names)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_launch_binds_what_its_kernel_reads_and_says_what_it_writes(name):
    for request, launch in every(name):
        arguments = {one.slot: one for one in family(name).kernel(request.row.template).arguments}
        assert set(launch.buffers) == set(arguments), launch.what
        assert {output.slot for output in launch.outputs} == {s for s, a in arguments.items() if a.role == "output"}
        for output in launch.outputs:
            assert np.asarray(launch.buffers[output.slot]).dtype == NUMPY[output.dtype]
        for slot, argument in arguments.items():
            if argument.role not in ("input", "output"):
                assert isinstance(launch.buffers[slot], bytes), (launch.what, argument.name)
        assert math.prod(launch.group) <= 1024
        assert all(threads > 0 for threads in launch.threads)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_combination_of_constants_is_launched(name):
    for host_name in one_of_each_kernel(name):
        request = ask(name, host_name, thorough=False)
        launched = [dict(launch.constants) for launch in module(name).launches(request)]
        for combination in request.combinations():
            assert combination in launched


@pytest.mark.parametrize("name", FAMILIES)
def test_thorough_asks_for_more_and_a_seed_gives_the_same_launches(name):
    for host_name in one_of_each_kernel(name):
        few = list(module(name).launches(ask(name, host_name, thorough=False)))
        many = list(module(name).launches(ask(name, host_name)))
        again = list(module(name).launches(ask(name, host_name)))
        assert len(few) <= len(many)
        assert len(few) < len(many) or host_name.startswith("init_reduce")
        for one, other in zip(many, again, strict=True):
            assert one.what == other.what
            for slot, buffer in one.buffers.items():
                assert np.asarray(buffer).tobytes() == np.asarray(other.buffers[slot]).tobytes()


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"rope"}))
def test_another_seed_gives_other_values(name):
    host_name = next(row for row in rows(name) if not row.startswith("init_reduce"))
    first, second = (next(iter(module(name).launches(ask(name, host_name, seed=seed)))) for seed in (1, 2))
    assert any(np.asarray(first.buffers[s]).tobytes() != np.asarray(second.buffers[s]).tobytes() for s in first.buffers)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_kernel_that_nobody_knows_is_an_error(name):
    request = of_kernel(ask(name, next(iter(rows(name)))), "nothing")
    with pytest.raises(ProofError, match="nobody makes launches of nothing"):
        next(iter(module(name).launches(request)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_there_are_special_values_of_every_float(name, dtype):
    found = set()
    for request, launch in every(name):
        if request.axes.get("dtype", request.axes.get("out")) != dtype or request.row.template == "init_reduce":
            continue
        inputs = [a.slot for a in family(name).kernel(request.row.template).arguments if a.role == "input"]
        stored = [launch.buffers[slot] for slot in inputs]
        values = np.concatenate([decode(b, dtype).ravel() for b in stored if b.dtype == NUMPY[dtype]])
        with np.errstate(invalid="ignore"):
            tiny = (np.abs(values) > 0) & (
                np.abs(values) < np.finfo(np.float16 if dtype == "float16" else np.float32).tiny
            )
        kinds = {"nan": np.isnan(values), "inf": values == np.inf, "-inf": values == -np.inf, "tiny": tiny}
        found |= {kind for kind, where in kinds.items() if where.any()}
    denormals = set() if dtype == "bfloat16" and name in ("reduce", "scan", "sort") else {"tiny"}
    assert found >= {"nan", "inf", "-inf"} | denormals


def test_sorts_and_maxima_of_bfloat16_have_denormal_numbers():
    for name in ("sort", "scan", "reduce"):
        found = 0
        for request, launch in every(name):
            if request.axes.get("dtype") == "bfloat16":
                values = np.asarray(launch.buffers[1 if request.row.template.startswith("mb_block_p") else 0])
                if values.dtype == np.uint16:
                    found += int((((values & 0x7F80) == 0) & ((values & 0x7F) != 0)).sum())
        assert found, name


def test_no_launch_of_layer_norm_writes_in_front_of_a_threads_values():
    for request, launch in every("layer_norm"):
        if "single_row" in request.row.template:
            last = launch.group[0] - 1
            assert launch.notes["case"].size >= last * request.axes["reads"], launch.what


def test_looped_softmax_has_all_the_simdgroups_that_it_reads():
    for name in ("softmax", "logsumexp"):
        for request, launch in every(name):
            if "looped" in request.row.template:
                assert launch.group == (1024, 1, 1)


def test_sizes_are_awkward():
    """Every kernel of rows gets one that is no multiple of what a thread, nor of what a simdgroup takes."""
    for name in ("softmax", "logsumexp", "layer_norm", "rms_norm"):
        for request, launch in every(name, thorough=False):
            size = launch.notes["rows"].shape[1] if "rows" in launch.notes else launch.notes["case"].size
            assert size % int(request.axes["reads"]), launch.what


@pytest.mark.parametrize("kernel", ["argmin_", "argmax_"])
@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int64", "float16", "bfloat16"])
def test_arg_reduce_has_ties(kernel, dtype):
    for launch in itertools.islice(module("arg_reduce").launches(ask("arg_reduce", f"{kernel}{dtype}")), 1):
        values = decode(launch.notes["operand"], dtype)
        best = np.nanmin(values, 1) if kernel == "argmin_" else np.nanmax(values, 1)
        assert ((values == best[:, None]).sum(1) > 1).any()


def test_sums_and_products_are_exact_in_any_order():
    rng = np.random.default_rng(3)
    exact = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "int32": 2**31 - 1, "int8": 2**31 - 1}
    for (
        dtype,
        largest,
    ) in exact.items():  # integers up to there have no other number beside them; int8 is summed in int32
        summands, factors = (
            decode(operand(rng, op, dtype, 2000, EXACT), dtype).astype(float) for op in ("sum", "prod")
        )
        assert (summands % 1 == 0).all()
        for _ in range(5):
            assert np.abs(np.cumsum(rng.permutation(summands))).max() <= largest
            mantissas, exponents = np.frexp(np.abs(np.cumprod(rng.permutation(factors))))
            assert (mantissas == 0.5).all()
            assert np.abs(exponents - 1).max() <= 8


def test_sorts_are_stable_and_keep_what_lies_between_rows():
    for request, launch in every("sort"):
        for slot, found in module("sort").expected(request, launch).items():
            before = np.asarray(launch.buffers[slot])
            assert found.shape == before.shape, launch.what
    request = ask("sort", "ncarg_block_sort_uint8_uint32_bn32_tn4")
    for launch in module("sort").launches(request):
        assert launch.notes["results"][1].tolist().count(0xA5A5A5A5) > 0
