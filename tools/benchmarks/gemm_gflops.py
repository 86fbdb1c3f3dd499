# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How fast Metal on the CPU runs a Steel GEMM kernel on one core and on two, beside numpy on one core in the same run.

The kernel is MLX's float32 one: its source untouched out of upstream_mlx/ (`steel-port sync` vendors it), and Apple's
compilation of it out of MLX's library. --source FILE --host-name NAME --tile BM BN BK WM WN takes any self-contained
Metal source whose kernel has the same arguments. Runs alternate; the best and the median of each are printed, with the
largest error against float64.
"""

from __future__ import annotations

import argparse
import os
import statistics
import struct
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"  # read when numpy is imported

import numpy as np  # noqa: E402

from porter.metal import AirLibrary, Kernel, Library, set_cores  # noqa: E402

TILE = (64, 64, 16, 2, 2)
# has_batch, use_out_source, do_axpby, align_M, align_N, align_K (steel_gemm_fused.h).
CONSTANTS: dict[str | int, bool] = {10: False, 100: False, 110: False, 200: True, 201: True, 202: True}


def upstream_kernel(root: Path) -> tuple[str, str]:
    """(source, host name) of MLX's f32 kernel with the default tile, row by row: upstream's text, flattened."""
    from porter.emit.flatten import flatten

    vendored = root / "upstream_mlx"
    headers = {path.relative_to(vendored).as_posix(): path.read_text("utf-8") for path in vendored.rglob("*.h")}
    if not headers:
        raise SystemExit("upstream_mlx/ is empty: run `steel-port sync` first, or name a --source")
    kernels = "mlx/backend/metal/kernels"
    includes = ("utils.h", "steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_fused.h")
    main = "".join(f"#include <{kernels}/{path}>\n" for path in includes)
    kernel = f"gemm<float, {', '.join(map(str, TILE))}, false, false>"
    instantiation = f'template [[host_name("gemm")]] [[kernel]] decltype({kernel}) {kernel};\n'
    return f"{flatten('main', {**headers, 'main': main})}\n{instantiation}", "gemm"


def gemm_params(size: int, tile: tuple[int, ...]) -> bytes:
    """Steel's GEMMParams for a square row-major product: 8 ints, 3 int64 batch strides, 3 ints."""
    bm, bn, bk = tile[:3]
    head = (size, size, size, size, size, size, -(-size // bn), -(-size // bm))
    return struct.pack("8i3q3i4x", *head, 0, 0, 0, 0, size // bk, 0)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="M = N = K, a multiple of the tile")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with upstream_mlx/")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--host-name")
    parser.add_argument("--metallib", type=Path, help="MLX v0.30.1's library (from the registry)")
    parser.add_argument("--tile", type=int, nargs=5, default=TILE, metavar=("BM", "BN", "BK", "WM", "WN"))
    options = parser.parse_args()
    if (options.source is None) != (options.host_name is None):
        parser.error("--source and --host-name go together")
    if any(options.size % edge for edge in options.tile[:3]):
        parser.error(f"--size {options.size} is no multiple of the tile {options.tile[:3]}")
    source, name = (
        (options.source.read_text("utf-8"), options.host_name) if options.source else upstream_kernel(options.root)
    )

    size, tile = options.size, tuple(options.tile)
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    out, absent = np.zeros((size, size), np.float32), np.zeros(8, np.int64)
    buffers = {0: a, 1: b, 2: out, 3: out, 4: gemm_params(size, tile), 5: absent, 6: absent, 7: absent}
    group = (32, tile[4], tile[3])
    grid = (size // tile[1] * group[0], size // tile[0] * group[1], group[2])
    start = time.perf_counter()
    constants = CONSTANTS if options.source is None else {}
    kernels = {"from source": Library(source, constants=constants)[name]}
    compiled = time.perf_counter() - start
    if options.source is None:
        kernels["from Apple's library"] = compiled_kernel(options.metallib)

    print(f"{name}, {size} x {size} x {size}; best and median of {options.runs} runs, side by side")
    print(f"  numpy runs on one core; compiled (or found compiled) from source in {compiled:.2f} s")
    for label, kernel in kernels.items():
        one = measured(label, 1, lambda kernel=kernel: kernel(buffers, grid, group), lambda: a @ b, options)
        error = float(np.abs(out - a.astype(np.float64) @ b).max())
        two = measured(label, 2, lambda kernel=kernel: kernel(buffers, grid, group), lambda: a @ b, options)
        print(f"  two cores / one: {one / two:.2f}; largest error against float64: {error:.2e}")


def compiled_kernel(metallib: Path | None) -> Kernel:
    """The same kernel out of Apple's library."""
    if metallib is None:
        from porter.upstream.providers.wheel import metallib_of

        metallib = metallib_of("v0.30.1")
    bm, bn, bk, wm, wn = TILE
    host_name = f"steel_gemm_fused_nn_float32_float32_bm{bm}_bn{bn}_bk{bk}_wm{wm}_wn{wn}"
    return AirLibrary(metallib).kernel(host_name, CONSTANTS)


def measured(
    label: str, cores: int, metal: Callable[[], object], numpy: Callable[[], object], options: argparse.Namespace
) -> float:
    """Print GFLOP/s of both, and return the median seconds of `metal` on `cores` cores."""
    set_cores(cores)
    metal()
    numpy()
    pairs = [(seconds(metal), seconds(numpy)) for _ in range(options.runs)]
    rates = []
    for times in zip(*pairs, strict=True):
        rates += [2 * options.size**3 / value / 1e9 for value in (min(times), statistics.median(times))]
    ours = f"best {rates[0]:6.2f} median {rates[1]:6.2f} GFLOP/s"
    print(f"  {label:20} {cores} core{'s' if cores > 1 else ' '}: {ours}; numpy {rates[2]:6.1f} {rates[3]:6.1f}")
    return statistics.median(metal_seconds for metal_seconds, _ in pairs)


if __name__ == "__main__":
    main()
