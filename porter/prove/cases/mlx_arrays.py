# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MLX's own arrays, on the CPU, as a second witness of what products and convolutions are.

The operands are given in float64 (complex128), as which the cases hold what their dtype can; MLX computes in float32
(complex64). Its error is that of a float32 kernel, within the same bounds: it sums the same terms in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from porter.errors import ProofError
from porter.prove.agreement import compare_values, tolerance_for
from porter.prove.cases.convolution import Convolution
from porter.prove.cases.values import Array
from porter.prove.launch import Launch, Output, Request

WITNESS = "numpy in float64, and MLX's arrays (CPU)"


def product(a: Array, b: Array, c: Array | None = None, alpha: float = 1.0, beta: float = 1.0) -> Array:
    """alpha a @ b + beta c."""
    import mlx.core as mx

    if c is None:
        return _run(mx.matmul, a, b)
    return _run(lambda x, y, z: mx.addmm(z, x, y, alpha, beta), a, b, c)


def gathered(a: Array, b: Array, lhs: Array, rhs: Array) -> Array:
    """a[lhs] @ b[rhs], where the indices count matrices."""
    import mlx.core as mx

    return _run(lambda x, y: mx.gather_mm(x, y, mx.array(lhs), mx.array(rhs)), a, b)


def segmented(a: Array, b: Array, segments: Sequence[tuple[int, int]]) -> Array:
    """a[:, begin:end] @ b[begin:end] for every segment."""
    import mlx.core as mx

    return _run(lambda x, y: mx.segmented_mm(x, y, mx.array(np.array(segments, np.uint32))), a, b)


def masked(a: Array, b: Array, block: int, out: Array | None, lhs: Array | None, rhs: Array | None) -> Array:
    """The product with masks of blocks, of which those that are None are absent."""
    import mlx.core as mx

    masks = [None if one is None else mx.array(one.astype(np.float32)) for one in (out, lhs, rhs)]
    return _run(lambda x, y: mx.block_masked_mm(x, y, block, *masks), a, b)


def convolution(case: Convolution, values: Array, weights: Array) -> Array:
    """The convolution of channels-last tensors."""
    import mlx.core as mx

    return _run(
        lambda x, w: mx.conv_general(
            x,
            w,
            stride=case.stride,
            padding=case.padding,
            kernel_dilation=case.dilation,
            input_dilation=case.input_dilation,
            groups=case.groups,
            flip=case.flip,
        ),
        values,
        weights,
    )


def confirm(request: Request, launch: Launch, slot: int, wanted: Array, theirs: Array) -> None:
    """Raises ProofError where MLX computes something else than what the case expects, in float32's tolerance."""
    dtype = "complex64" if np.iscomplexobj(theirs) else "float32"
    output = Output(slot, dtype)
    memory = np.ascontiguousarray(theirs).reshape(-1).view(np.uint8)
    tolerance = tolerance_for(request.family.tolerances, request.row.template, dtype)
    difference = compare_values(memory, wanted, output, tolerance).difference
    if difference is not None:
        raise ProofError(
            f"MLX's arrays and the case disagree about {launch.what}: {difference}",
            where=request.row.host_name,
            next_step="find out which is wrong: the case's expectation, or MLX on the CPU",
        )


def _run(function: Any, *operands: Array) -> Array:
    """The result in numpy, float32 or complex64."""
    import mlx.core as mx

    arrays = [mx.array(one.astype(np.complex64 if np.iscomplexobj(one) else np.float32)) for one in operands]
    with mx.stream(mx.Device(mx.cpu, 0)):
        result = function(*arrays)
        mx.eval(result)
        return np.array(result)
