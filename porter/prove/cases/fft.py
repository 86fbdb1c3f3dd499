# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of Fourier transforms: rows of complex or real numbers, several in a threadgroup where they are short.

A launch's constants are one of the family's samples; everything else follows from them: a length is the product of
the radices of its steps, times a prime where Rader's method transforms one, and Bluestein's transforms any shorter
length. Kernels of complex numbers are run on every sample whose threadgroup fills the memory that the kernel is named
after, those of real numbers on two of them. A transform too long for a threadgroup is done in two steps, columns and
rows of a matrix (n1, n2); each step is a launch of its own.

Numbers are uniform in [-1, 1], divided by the length where nothing else divides by it: results then have a Euclidean
norm of about 1, on which the tolerances rest. Spectra of real numbers begin with a real number, and end with one where
the length is even; numpy drops imaginary parts there, Bluestein's kernel the last one only.

The kernels of complex numbers load and store the last threadgroup's rows as if its threads had no element too many.
Where a length is no multiple of the elements of a thread (34 with 4) and the last threadgroup is not full, upstream
(v0.30.1, fft/readwrite.h, lines 101-142) reads and writes behind the last row; such batches are not launched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from porter.prove.cases.arguments import scalar
from porter.prove.cases.values import Array, awkward, empty
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = "numpy, float64"

RADICES = (13, 11, 8, 7, 6, 5, 4, 3, 2)

LEAST_MEMORY, LEAST_COALESCED = 256, 4
"""Complex numbers that a threadgroup holds at least, and rows that one of a two-step transform has at least (the host's
choice, mlx/backend/metal/fft.cpp, lines 22-24; restated in the family's YAML)."""


@dataclass(frozen=True)
class Plan:
    """One sample. `size`: of the transform that a threadgroup computes; `prime`: of Rader's method, or 1."""

    constants: Mapping[str, Value]
    size: int
    prime: int
    rows: int
    threads: int

    @property
    def inverse(self) -> bool:
        return bool(self.constants["inv_"])

    @property
    def whole(self) -> bool:
        """Whether every thread has its full number of elements."""
        return self.threads * int(self.constants["elems_per_thread_"]) == self.size


def plan(kernel: str, constants: Mapping[str, Value]) -> Plan:
    """What follows from a sample's constants."""
    size, prime = (
        math.prod(radix ** int(constants.get(f"{kind}_{radix}_steps_", 0)) for radix in RADICES)
        for kind in ("radix", "rader")
    )
    prime = prime + 1 if kernel == "rader_fft" else 1
    size *= prime
    rows = max(LEAST_MEMORY // size, LEAST_COALESCED if kernel == "four_step_fft" else 1)
    return Plan(constants, size, prime, rows, math.ceil(size / int(constants["elems_per_thread_"])))


def launches(request: Request) -> Iterator[Launch]:
    """The samples that the kernel's memory is made for; `thorough`: special numbers too."""
    rng, kernel = request.rng(), request.row.template
    memory = int(request.axes["size"])
    plans = [plan(kernel, one) for one in request.combinations()]
    direction = _direction(request)
    plans = [one for one in plans if direction is None or one.inverse == direction]
    fitting = [one for one in plans if memory // 2 < one.rows * one.size <= memory]
    if not fitting:  # no length takes so much: the longest that fits
        fitting = sorted((one for one in plans if one.rows * one.size <= memory), key=lambda one: one.size)[-1:]
    if direction is not None and not request.thorough:
        fitting = [fitting[(request.seed + step) % len(fitting)] for step in range(min(2, len(fitting)))]
    for one in fitting:
        yield _launch(request, rng, one, False)
    if request.thorough:
        yield _launch(request, rng, fitting[0], True)


def _direction(request: Request) -> bool | None:
    """Whether the kernel's transforms are inverse; None for both. Real to complex is forward, and back is inverse."""
    axes = request.axes
    if "step" in axes and not axes["real"]:
        return None
    if "step" in axes:
        return bool((axes["input"], axes["output"], axes["step"]) in (("float2", "float2", 0), ("float2", "float", 1)))
    return None if axes["input"] == axes["output"] else bool(axes["output"] == "float")


def _launch(request: Request, rng: np.random.Generator, one: Plan, special: bool) -> Launch:
    if request.row.template == "four_step_fft":
        return _step(request, rng, one, special)
    real = request.axes["input"] != request.axes["output"]
    batch = one.rows * 2 if not one.whole and not real else one.rows * 2 + 1
    length = one.size
    if request.row.template == "bluestein_fft":  # an odd and an even length that this size is for
        length = one.size // 2 - (18 if one.inverse else 17)
    values = _numbers(request, rng, (batch, length), 1.0 if one.inverse else 1.0 / length, special)
    groups = math.ceil(batch / one.rows)
    groups = math.ceil(groups / 2) if real else groups  # two rows of real numbers are one of complex ones
    columns = length // 2 + 1 if (real and not one.inverse) else length
    named: dict[str, Array | bytes] = {
        "in": values, "out": empty((batch, columns), _dtype(request, "output")),
        "n": scalar(one.size), "batch_size": scalar(batch), "length": scalar(length), "rader_n": scalar(one.prime),
    }  # fmt: skip
    if request.row.template == "rader_fft":
        named |= _rader(one.prime)
    if request.row.template == "bluestein_fft":
        named |= _bluestein(length, one.size)
    return _finish(request, one, named, groups, f"{batch} rows of {length}", (values, length, 0), special)


def _finish(
    request: Request,
    one: Plan,
    named: Mapping[str, Array | bytes],
    groups: int,
    what: str,
    operands: tuple[Array, int, int],
    special: bool,
) -> Launch:
    """The grid as upstream's host dispatches it (mlx/backend/metal/fft.cpp)."""
    slots = {argument.name: argument.slot for argument in request.family.kernel(request.row.template).arguments}
    return Launch(
        what=what + (", inverse" if one.inverse else "") + (", special numbers" if special else ""),
        buffers={slot: named[name] for name, slot in slots.items()},
        threads=(groups, one.rows, one.threads),
        group=(1, one.rows, one.threads),
        outputs=(Output(slots["out"], _dtype(request, "output")),),
        constants=dict(one.constants),
        notes={"operands": operands, "inverse": one.inverse, "special": special},
    )


def _dtype(request: Request, side: str) -> str:
    return "complex64" if request.axes[side] == "float2" else "float32"


def _numbers(
    request: Request,
    rng: np.random.Generator,
    shape: tuple[int, int],
    limit: float,
    special: bool,
    half: bool = True,
) -> Array:
    """Rows of an input; of the spectrum of real numbers the first half (`half`). A row's length is the whole's."""
    batch, length = shape
    complex_input = request.axes["input"] == "float2"
    from_spectrum = complex_input and _direction(request) is True and half
    columns = length // 2 + 1 if from_spectrum else length
    values = rng.uniform(-limit, limit, (batch, columns)).astype(np.float32)
    if complex_input:
        values = (values + 1j * rng.uniform(-limit, limit, (batch, columns))).astype(np.complex64)
    if special:
        values[-1, : min(24, columns)] = awkward(rng, 24, _dtype(request, "input"))[: min(24, columns)]
    if from_spectrum:
        values[:, 0] = values[:, 0].real
        if length % 2 == 0:
            values[:, -1] = values[:, -1].real
    return np.asarray(values)


def _rader(prime: int) -> dict[str, Array | bytes]:
    """Powers of a generator modulo a prime, powers of its inverse, and the transform of the roots in that order."""
    for root in range(2, prime):
        powers = [1]
        while len(powers) < prime - 1:
            powers.append(powers[-1] * root % prime)
        if len(set(powers)) == prime - 1:
            break
    inverse = [powers[-exponent % (prime - 1)] for exponent in range(prime - 1)]
    roots = np.exp(-2j * np.pi * np.array(inverse) / prime)
    return {
        "raders_b_q": np.fft.fft(roots).astype(np.complex64),
        "raders_g_q": np.array(powers, np.int16),
        "raders_g_minus_q": np.array(inverse, np.int16),
    }


def _bluestein(length: int, size: int) -> dict[str, Array | bytes]:
    """The chirp, and the transform of its reciprocal from -(length - 1) to length - 1."""
    places = np.arange(-length + 1, length)
    squares = places * places % (2 * length)  # exact angles
    reciprocal = np.zeros(size, np.complex128)
    reciprocal[: 2 * length - 1] = np.exp(1j * np.pi * squares / length)
    chirp = np.exp(-1j * np.pi * squares[length - 1 :] / length)
    return {"w_q": np.fft.fft(reciprocal).astype(np.complex64), "w_k": chirp.astype(np.complex64)}


def _step(request: Request, rng: np.random.Generator, one: Plan, special: bool) -> Launch:
    """One step of a transform of n1 n2 numbers: its columns (n1 each) or its rows (n2 each). The other is short."""
    first = request.axes["step"] == 0
    other = 16
    n1, n2 = (one.size, other) if first else (other, one.size)
    limit = 1.0 / one.size if first or not one.inverse else float(n1)
    batch, overall = 2, n1 * n2
    values = _numbers(request, rng, (batch, overall), limit, special, half=first)
    last = request.axes["real"] and not one.inverse and not first
    named: dict[str, Array | bytes] = {
        "in": values, "out": empty((batch, overall // 2 + 1 if last else overall), _dtype(request, "output")),
        "n1": scalar(n1), "n2": scalar(n2), "batch_size": scalar(batch * overall // one.size),
    }  # fmt: skip
    groups = batch * overall // one.size // one.rows
    what = f"{batch} of {n1} x {n2}, {'columns' if first else 'rows'}"
    return _finish(request, one, named, groups, what, (values, n1, n2), special)


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """The transform, or a step of it, in complex numbers of float64."""
    if launch.notes["special"]:
        return None
    values, length, n2 = launch.notes["operands"]
    inverse, output = launch.notes["inverse"], request.axes["output"]
    values = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    if n2:
        return {1: _step_result(request, values, length, n2, inverse)}
    if request.axes["input"] == "float":
        return {1: np.fft.rfft(values, axis=1)}
    if output == "float":
        return {1: np.fft.irfft(values, n=length, axis=1)}
    return {1: np.fft.ifft(values, axis=1) if inverse else np.fft.fft(values, axis=1)}


def _step_result(request: Request, values: Array, n1: int, n2: int, inverse: bool) -> Array:
    """An inverse transform conjugates what its first step reads and what its last writes, and divides by n1 n2."""
    axes, overall = request.axes, n1 * n2
    if axes["step"] == 0:
        if values.shape[1] != overall:  # half of a spectrum
            values = np.concatenate([values, np.conj(values[:, 1 : overall - overall // 2][:, ::-1])], axis=1)
        matrix = np.conj(values) if inverse else values
        columns = np.fft.fft(matrix.reshape(-1, n1, n2), axis=1)
        return np.asarray(columns * np.exp(-2j * np.pi * np.outer(np.arange(n1), np.arange(n2)) / overall))
    rows = np.fft.fft(values.reshape(-1, n1, n2), axis=2).transpose(0, 2, 1).reshape(-1, overall)
    if axes["real"] and not inverse:
        return np.asarray(rows[:, : overall // 2 + 1])
    whole: Array = np.conj(rows) / overall if inverse else rows
    return np.asarray(whole.real if axes["output"] == "float" else whole)
