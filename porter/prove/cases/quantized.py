# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Launches of products with quantized weights (affine and microscaling, NAX or not), and of quantize and dequantize.

A kernel's name says what it does: `qmv` y = w x with w (N, K), `qvm` with w (K, N), `qmm_t` and `qmm_n` the same for
many rows of x, `gather_` with matrices picked by index, `gather_qmm_rhs` with one sorted index for each row of x. Every
other row of x holds grid numbers and about three in four columns of w are exact (quantized_weights.py), so that one
launch shows both what rounding does (Apple's kernel and the source must agree in every bit) and the one right result
(of the grid numbers, whatever the order of the sum; the rest is masked in `expected`).

What upstream's own kernels do, found while these cases were written (v0.30.1):
- `qmv` with 4 < N < 8 keeps more results than its array has (quantized.h, lines 870-911; fp_quantized.h, 421-454): its
  first simdgroup goes over all N rows, four of which it has room for. That is undefined, and not launched.
- `affine_qmv_quad` is instantiated for codes of 3, 5 and 6 bits, but never asked for (quantized.cpp, lines 1310-1315).
  It reads as if no code crossed a word; of 128 numbers, and of 6 bits, it reads behind an array too, which is
  undefined: such a kernel is launched for 0 results only.
- `affine_qmm_n_nax` loads and stores whole tiles whatever M is (quantized_nax.h, lines 1090-1207), also behind the
  ends: it is launched for whole tiles. It takes w (K, N) for one whose rows are K long, so that only the first tile of
  columns is right, and where N = K; the rest is not expected. The host asks for w (N, K) only (quantized.cpp, 693).
And what is launched, but of which nothing is expected:
- `fp_qmv` with N < 8 and K > 256 multiplies the first blocks by the byte that holds the scale, not by the scale.
- `qvm_split_k` of more than one row reads only the first where it is (see `split_arguments`).
- `affine_qmv_quad` of groups longer than a row, which the host never has.
- `fp_quantize` of nvfp4 compares a thread's place in the grid, not its lane, with 16 (fp_quantized.h, lines 1745-1748):
  from the third group on two groups share the larger one's scale. The first two are expected.
- NAX with w (K, N) in groups of 32 moves on by twice the scales of a tile (quantized_nax.h, lines 829-830,
  fp_quantized_nax.h, line 190), so that only the first 64 of K are right. The host asks for w (N, K) only.
- `gather_qmm_rhs_nax` with K no multiple of 64, which the host asks for (quantized.cpp, lines 1133-1135): the last tile
  along K takes part as a whole, with what stands behind a row of x and of w (quantized_nax.h, line 1662,
  fp_quantized_nax.h, line 1014).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from porter.prove.cases.arguments import MAX_THREADS, scalar
from porter.prove.cases.quantized_product import (
    Format,
    Product,
    Sizes,
    arguments,
    by_slot,
    exact_parts,
    product,
    split_arguments,
)
from porter.prove.cases.quantized_weights import Weights, as_one_row, weights
from porter.prove.cases.values import Array, awkward, decode, empty, encode, ordinary
from porter.prove.launch import Launch, Output, Request
from porter.spec import Value

WITNESS = "MLX's arrays (CPU) for the weights, numpy in float64 for the product"


def operation(request: Request) -> str:
    """The kernel's name without what says how weights are held, and for which GPU: `qmm_t`."""
    return request.row.template.removeprefix("affine_").removeprefix("fp_").removesuffix("_nax")


def launches(request: Request) -> Iterator[Launch]:
    """One launch with sizes that no tile divides; `thorough`: aligned, tiny and batched ones, special numbers too."""
    rng = request.rng()
    name = operation(request)
    if name == "quantize":
        yield from _quantize(request, rng)
    elif name == "dequantize":
        yield from _dequantize(request, rng)
    elif name == "gather_qmm_rhs":
        yield from _sorted(request, rng)
    else:
        every = list(_sizes(request, name.removeprefix("gather_")))
        for sizes in every if request.thorough else every[:1]:
            if name.startswith("gather_"):
                sizes = replace(sizes, batch=(2, 3) if sizes.stretched else (5,), stretched=False, gather=True)
            yield _launch(request, product(rng, sizes, _format(request, name)))


def _format(request: Request, name: str) -> Format:
    axes = request.axes
    transposed = bool(axes.get("transpose", name.removeprefix("gather_") in ("qmv", "qmv_fast", "qmv_quad", "qmm_t")))
    return Format(
        str(axes.get("mode", "affine")), int(axes["group_size"]), int(axes["bits"]), str(axes["dtype"]), transposed
    )


def _sizes(request: Request, name: str) -> Iterator[Sizes]:
    """The sizes to try of one kernel, the most telling first. A batch where the kernel takes one."""
    axes = request.axes
    group, tile = int(axes["group_size"]), int(axes.get("bn", 32))
    batched = "batched" in axes and int(axes["batched"]) == 1
    shapes: Sequence[tuple[int, int, int]]
    if name == "qmv":
        shapes = [
            (2, 13, 3 * group),
            (1, 3, group),
            (2, 8, 512),
            (3, 21, 5 * group),
            (1, 4, 9 * group),
            (2, 13, 2 * group),
        ]
    elif name == "qmv_fast":
        shapes = [(2, 16, 512), (1, 8, 1024), (2, 8, 512)]
    elif name == "qmv_quad":
        shapes = [(3, 70, int(axes["D"])), (1, 5, int(axes["D"])), (1, 64, int(axes["D"]))]
        shapes = shapes if _defined(int(axes["bits"]), int(axes["D"])) else [(2, 64, int(axes["D"]))]
    elif name == "qvm":
        width = 3 * group if group == 32 else 2 * group
        shapes = [(2, width, 45), (1, group, 64), (3, group, 1), (1, width, 33), (2, group, 45)]
    elif name == "qvm_split_k":
        parts = int(axes["split_k"])
        shapes = [(1, max(64, group), 37 * parts - 20), (1, 128, 32 * parts), (2, 128, 33 * parts - 5)]
    elif name == "qmm_t":  # where a tile of columns must be whole, the first is of two whole tiles
        ragged = 2 * tile if axes.get("aligned_N") else tile + 13
        depth = math.lcm(group, int(axes.get("bk", 32))) * (2 if group < 64 else 1)
        shapes = [(tile + 3, ragged, depth), (tile, 2 * tile, 2 * depth), (1, ragged, depth), (tile + 3, ragged, depth)]
    elif "bm" in axes:  # qmm_n_nax
        width = max(group, tile)
        shapes = [(2 * tile, width, width), (tile, width, width)]
    else:
        shapes = [(tile + 3, math.lcm(group, tile), 45)]
        shapes += [(tile, math.lcm(group, tile), 2 * tile), (1, math.lcm(group, tile), 2 * tile)]
    for number, (rows, columns, depth) in enumerate(shapes):
        last = number == len(shapes) - 1
        yield Sizes(
            M=rows,
            N=columns,
            K=depth,
            batch=((2, 2) if number % 2 == 0 else (3,)) if batched else (),
            stretched=number % 2 == 0 and (batched or "batched" not in axes),
            split=int(axes.get("split_k", 0)),
            special=last,
        )


def _launch(request: Request, made: Product) -> Launch:
    """The grid as upstream's host dispatches it (quantized.cpp): threadgroups of one tile of results."""
    sizes, axes, name = made.sizes, request.axes, operation(request).removeprefix("gather_")
    named = split_arguments(made) if sizes.split else arguments(made)
    if name == "qmv_quad" and not _defined(made.format.bits, sizes.K):
        named["out_vec_size"] = scalar(0)
    count = max(math.prod(sizes.batch), sizes.split, 1)
    tile = int(axes.get("bn", 32))
    if name in ("qmm_t", "qmm_n"):
        group, tiles = (32, 2, 2), (math.ceil(sizes.N / tile), math.ceil(sizes.M / tile))
    else:
        width = 8 if name in ("qmv", "qmv_fast") else 64
        group, tiles = (32, 1 if name == "qmv_quad" else 2, 1), (sizes.M, math.ceil(sizes.N / width))
    return _finish(request, made, named, (*tiles, count), group)


def _sorted(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    """`gather_qmm_rhs`: a sorted index for each row. A constant `align_` may be true only where the size is a multiple
    of the tile; `align_K` is true wherever K is (the host's choice). K is a multiple of a group where w is (N, K)."""
    axes = request.axes
    form = _format(request, "gather_qmm_rhs")
    bm, bn, bk = (int(axes[one]) for one in ("bm", "bn", "bk"))
    least = form.group_size if form.transposed else 1
    combinations = [one for one in request.combinations() if least % bk or one["align_K"]]
    if request.row.template.endswith("_nax"):  # first those of which something is expected
        combinations.sort(key=lambda one: not one["align_K"])
    for constants in combinations if request.thorough else combinations[:1]:
        rows = 2 * bm if constants["align_M"] else 2 * bm + 5
        columns = math.lcm(form.group_size, bn) if constants["align_N"] or not form.transposed else bn + 13
        depth = math.lcm(least, bk) + (0 if constants["align_K"] else least if form.transposed else 13)
        made = product(rng, Sizes(1, columns, depth, batch=(rows,), gather=True), form)
        made = replace(made, rhs=np.sort(made.rhs))
        made = replace(made, x=made.x[made.lhs], exact_rows=made.exact_rows[made.lhs], lhs=np.arange(rows))
        named = arguments(made) | {"M": scalar(rows), "indices": made.rhs.astype(np.uint32)}
        group = (32, int(axes["wn"]), int(axes["wm"]))
        tiles = (math.ceil(columns / bn), math.ceil(rows / bm), 1)
        yield _finish(request, made, named, tiles, group, constants)


def _finish(
    request: Request,
    made: Product,
    named: Mapping[str, Array | bytes],
    tiles: tuple[int, int, int],
    group: tuple[int, int, int],
    constants: Mapping[str, Value] | None = None,
) -> Launch:
    slots = _slots(request)
    return Launch(
        what=str(made.sizes) + "".join(f", {name}" for name, value in (constants or {}).items() if value),
        buffers=by_slot(named, slots),
        threads=(tiles[0] * group[0], tiles[1] * group[1], tiles[2] * group[2]),
        group=group,
        outputs=(Output(slots["y"], made.format.dtype),),
        constants=dict(constants or {}),
        notes={"product": made},
    )


def _slots(request: Request) -> dict[str, int]:
    return {one.name: one.slot for one in request.family.kernel(request.row.template).arguments}


def _defined(bits: int, depth: int) -> bool:
    """Whether `qmv_quad` reads within its arrays."""
    return bits in (2, 4, 8) or (bits != 6 and depth == 64)


def _quantize(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    """Even groups hold numbers that their codes hold exactly, odd ones any; `thorough`: special ones too."""
    axes = request.axes
    size, bits, dtype, mode = (
        int(axes["group_size"]),
        int(axes["bits"]),
        str(axes["dtype"]),
        str(axes.get("mode", "affine")),
    )
    for groups, special in ((15, False), (128, False), (12, True)) if request.thorough else ((15, False),):
        values = _representable(rng, groups, size, bits, mode)
        stored = encode(values, dtype)
        odd = np.arange(groups) % 2 == 1
        stored[odd] = ordinary(rng, (int(odd.sum()), size), dtype)
        if special:
            stored[odd] = [np.roll(awkward(rng, size, dtype), one) for one in range(int(odd.sum()))]
        per_thread = max(size // 32, 1)
        threads = groups * size // per_thread
        scales = empty(groups, dtype if mode == "affine" else "uint8")
        outputs = [Output(1, "uint8"), Output(2, dtype if mode == "affine" else "uint8")]
        buffers: dict[int, Array | bytes] = {0: stored, 1: empty(groups * size * bits // 8, "uint8"), 2: scales}
        if mode == "affine":
            buffers[3] = empty(groups, dtype)
            outputs.append(Output(3, dtype))
        yield Launch(
            what=f"{groups} groups of {size}" + (", special numbers" if special else ""),
            buffers=buffers,
            threads=(threads, 1, 1),
            group=(min(threads, MAX_THREADS), 1, 1),
            outputs=tuple(outputs),
            notes={"known": ~odd, "values": stored},
        )


def _representable(rng: np.random.Generator, groups: int, size: int, bits: int, mode: str) -> Array:
    """Groups (groups, size) that quantize without rounding: their largest numbers are those that codes reach."""
    if mode == "affine":
        codes = rng.integers(0, 1 << bits, (groups, size))
        codes[:, 0], codes[:, 1] = 0, (1 << bits) - 1
        zero = rng.integers(0, 1 << bits, (groups, 1))
        return (codes - zero) * np.exp2(-rng.integers(1, 4, (groups, 1)))
    top = 6.0 if bits == 4 else 448.0  # the largest of E2M1 and of E4M3
    held = weights(rng, (), np.ones((groups, 1), bool), mode, size, bits, "float32")
    one = np.full_like(held.scales, 0x38 if mode == "nvfp4" else 127)  # 1 as E4M3, as E8M0
    values = replace(held, scales=one).numbers()
    values[:, 0] = top
    return np.asarray(values * np.exp2(rng.integers(-3, 1, (groups, 1)))) + 0.0  # -0: MLX's CPU code makes +0 of it


def _dequantize(request: Request, rng: np.random.Generator) -> Iterator[Launch]:
    axes = request.axes
    size, bits, dtype, mode = (
        int(axes["group_size"]),
        int(axes["bits"]),
        str(axes["dtype"]),
        str(axes.get("mode", "affine")),
    )
    together = 8 if bits in (3, 5) else 4 if bits == 6 else 8 // bits
    for groups in (15, 200) if request.thorough else (15,):
        held = weights(rng, (), (np.arange(groups) % 2 == 0)[:, None], mode, size, bits, dtype)
        threads = groups * size // together
        buffers: dict[int, Array | bytes] = {0: held.packed, 1: held.scales, 3: empty((groups, size), dtype)}
        if held.biases is not None:
            buffers[2] = held.biases
        yield Launch(
            what=f"{groups} groups of {size}",
            buffers=buffers,
            threads=(threads, 1, 1),
            group=(min(threads, MAX_THREADS), 1, 1),
            outputs=(Output(3, dtype),),
            notes={"weights": held},
        )


def expected(request: Request, launch: Launch) -> Mapping[int, Array] | None:
    """The results of grid numbers with exact weights; everything else is masked."""
    name = operation(request)
    if name == "quantize":
        return _quantized(request, launch)
    if name == "dequantize":
        held: Weights = launch.notes["weights"]
        known = np.broadcast_to(held.exact, (held.exact.shape[0], held.group_size))
        return {3: np.ma.masked_array(held.numbers(), ~known)}
    made: Product = launch.notes["product"]
    if name == "qmv_quad" and not _defined(made.format.bits, made.sizes.K):
        slot = _slots(request)["y"]
        return {slot: decode(np.asarray(launch.buffers[slot]), made.format.dtype)}  # as it was
    if made.sizes.special or _wrong(request, name, made):
        return None
    values, known = exact_parts(made) if made.sizes.split else made.exact()
    if request.row.template == "affine_qmm_n_nax":
        known = known & (np.arange(made.sizes.N) < int(request.axes["bn"]))
    return {_slots(request)["y"]: np.ma.masked_array(values, ~known)}


def _wrong(request: Request, name: str, made: Product) -> bool:
    """Whether upstream computes something else, as the module's head says."""
    form, sizes = made.format, made.sizes
    if request.row.template.endswith("_nax"):
        tile = int(request.axes["bk"])
        if form.transposed:
            return sizes.K % tile != 0
        return form.group_size < tile < sizes.K
    if name == "qmv_quad":
        return form.bits not in (2, 4, 8) or sizes.K % form.group_size != 0
    return name.removeprefix("gather_") == "qmv" and form.mode != "affine" and sizes.N < 8 and sizes.K > 256


def _quantized(request: Request, launch: Launch) -> Mapping[int, Array]:
    """What MLX's own `quantize` makes of the groups that lose nothing."""
    import mlx.core as mx

    axes, known = request.axes, np.array(launch.notes["known"])
    if axes.get("mode") == "nvfp4":
        known[2:] = False
    values = decode(launch.notes["values"], str(axes["dtype"])).astype(np.float32)
    values = as_one_row(np.where(known[:, None], values, 1.0), known.size)
    with mx.stream(mx.Device(mx.cpu, 0)):
        made = mx.quantize(
            mx.array(values.astype(np.float32)),
            group_size=int(axes["group_size"]),
            bits=int(axes["bits"]),
            mode=str(axes.get("mode", "affine")),
        )
        codes, *scales = (np.array(one)[0] for one in made)
    codes = codes.view(np.uint8).reshape(-1, _bytes_of_a_group(request))[: known.size]
    out: dict[int, Array] = {1: np.ma.masked_array(codes, np.broadcast_to(~known[:, None], codes.shape))}
    for slot, one in enumerate(scales, 2):
        out[slot] = np.ma.masked_array(one[: known.size], ~known)
    return out


def _bytes_of_a_group(request: Request) -> int:
    return int(request.axes["group_size"]) * int(request.axes["bits"]) // 8
