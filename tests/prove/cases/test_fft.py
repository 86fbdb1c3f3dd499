# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of Fourier transforms."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from porter.prove.cases import fft
from porter.prove.launch import Launch

from .asking import ask, family, rows

KERNELS = ("fft", "rader_fft", "bluestein_fft", "four_step_fft")


@pytest.mark.parametrize("sample", family("fft").samples, ids=lambda one: f"{one.kernels[0]}: {one.of}")
def test_a_samples_constants_make_the_length_that_it_names(sample):
    """The YAML restates a planner's results; here they are held to the lengths they are said to be for."""
    (kernel,) = sample.kernels
    plan = fft.plan(kernel, sample.constants)
    size = int(re.search(r"\d+(?=,|:)" if kernel != "bluestein_fft" else r"over (\d+)", sample.of).group().split()[-1])
    assert plan.size == size
    assert plan.inverse == ("inverse" in sample.of)
    assert bool(sample.constants["is_power_of_2_"]) == (size & (size - 1) == 0)
    assert plan.threads <= 1024
    if kernel == "bluestein_fft":
        length = int(re.search(r"length (\d+)", sample.of).group(1))
        assert size // 2 < 2 * length - 1 <= size
    if kernel == "rader_fft":
        assert plan.prime == int(re.search(r"Rader of (\d+)", sample.of).group(1))
        assert sample.constants["rader_m_"] == size // plan.prime


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_sample_is_launched_by_a_kernel_of_complex_numbers(kernel):
    launched = set()
    for host_name, row in rows("fft").items():
        request = ask("fft", host_name, thorough=False)
        if row.template == kernel and request.axes["input"] == request.axes["output"]:
            launched |= {tuple(sorted(one.constants.items())) for one in fft.launches(request)}
    assert launched == {tuple(sorted(one.items())) for one in family("fft").combinations(kernel)}


def test_every_host_name_has_a_launch_that_fits_its_memory():
    for host_name in rows("fft"):
        request = ask("fft", host_name, thorough=False)
        launches = list(fft.launches(request))
        assert launches, host_name
        for launch in launches:
            plan = fft.plan(request.row.template, launch.constants)
            assert plan.rows * plan.size <= int(request.axes["size"])
            slots = {one.slot for one in family("fft").kernel(request.row.template).arguments}
            assert set(launch.buffers) == slots
            direction = fft._direction(request)
            assert direction is None or direction == plan.inverse


def test_no_batch_makes_upstream_write_behind_its_end():
    for host_name in rows("fft"):
        request = ask("fft", host_name, thorough=True)
        if request.axes["input"] != request.axes["output"] or request.row.template not in ("fft", "rader_fft"):
            continue
        for launch in fft.launches(request):
            plan = fft.plan(request.row.template, launch.constants)
            assert plan.whole or launch.buffers[0].shape[0] % plan.rows == 0


@pytest.mark.parametrize("prime", [17, 61, 257])
def test_raders_tables_make_a_transform(prime):
    """A transform of prime length is a cyclic convolution of the numbers in the order of a generator's powers."""
    named = fft._rader(prime)
    rng = np.random.default_rng(1)
    x = rng.standard_normal(prime) + 1j * rng.standard_normal(prime)
    spectrum = np.fft.fft(x[named["raders_g_q"]]) * named["raders_b_q"]
    out = np.empty(prime, complex)
    out[0] = x.sum()
    out[named["raders_g_minus_q"]] = np.fft.ifft(spectrum) + x[0]
    np.testing.assert_allclose(out, np.fft.fft(x), atol=1e-4)


@pytest.mark.parametrize("length", [47, 46])
def test_bluesteins_tables_make_a_transform(length):
    size = 128
    named = fft._bluestein(length, size)
    x = np.random.default_rng(1).standard_normal(length)
    product = np.fft.fft(x * named["w_k"], size) * named["w_q"]
    out = named["w_k"] * np.fft.ifft(product)[length - 1 : 2 * length - 1]
    np.testing.assert_allclose(out, np.fft.fft(x), atol=1e-4)


STEPS = {
    "complex": (("float2", "float2", 0, "false"), ("float2", "float2", 1, "false"), np.fft.fft, False),
    "complex, inverse": (("float2", "float2", 0, "false"), ("float2", "float2", 1, "false"), np.fft.ifft, True),
    "real to complex": (("float", "float2", 0, "true"), ("float2", "float2", 1, "true"), np.fft.rfft, False),
    "complex to real": (("float2", "float2", 0, "true"), ("float2", "float", 1, "true"), np.fft.irfft, True),
}


@pytest.mark.parametrize(("first", "second", "whole", "inverse"), STEPS.values(), ids=list(STEPS))
def test_two_steps_make_the_transform(first, second, whole, inverse):
    n1, n2 = 64, 16
    rng = np.random.default_rng(1)
    requests = [ask("fft", "four_step_mem_256_{}_{}_{}_{}".format(*one)) for one in (first, second)]
    columns = n1 * n2 // 2 + 1 if first[3] == "true" and inverse else n1 * n2
    x = rng.standard_normal((2, columns))
    if first[0] == "float2":
        x = x + 1j * rng.standard_normal((2, columns))
    if whole is np.fft.irfft:
        x[:, [0, -1]] = x[:, [0, -1]].real
    (template,) = list(fft.launches(requests[0]))[:1]
    middle = fft.expected(requests[0], note(template, x, n1, n2, inverse))[1]
    out = fft.expected(requests[1], note(template, middle.reshape(2, -1), n1, n2, inverse))[1]
    np.testing.assert_allclose(out, whole(x, axis=1), atol=1e-9)


def note(launch: Launch, values, n1: int, n2: int, inverse: bool) -> Launch:
    return dataclasses.replace(launch, notes={"operands": (values, n1, n2), "inverse": inverse, "special": False})


def test_results_have_the_norm_on_which_the_tolerances_rest():
    for host_name, row in rows("fft").items():
        request = ask("fft", host_name, thorough=False)
        for launch in fft.launches(request):
            batch, columns = launch.buffers[0].shape
            result = fft.expected(request, launch)[1].reshape(batch, -1)
            two_step = row.template == "four_step_fft"
            transforms = columns / fft.plan(row.template, launch.constants).size if two_step else 1
            assert np.linalg.norm(result, axis=1).max() <= 2 * np.sqrt(2 * max(transforms, 1)), host_name
