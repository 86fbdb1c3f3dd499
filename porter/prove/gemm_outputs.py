# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What the ring outputs shows of the fused GEMM beyond what it shows of every family: its products against float64.

Three claims. Every host name computes its product; every combination of the constants does; and the operators, through
the shipped glue on the Linux `mps` device, do so on the grid of shapes that the family names. A result must lie within
the bound that `porter/prove/tolerance.py` derives; one outside is reported with the smallest case that shows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from porter.errors import MetalError, ProofError
from porter.metal.kernel import Kernel
from porter.model import Instantiation, ParamsStruct, Proof, Status
from porter.prove.case import Case as Proved
from porter.prove.findings import MLX, NUMPY, Finding, conclude
from porter.prove.runnable import PortSource, Wanted
from porter.prove.samples import Case, decode, encode, make_case, mlx_worst
from porter.prove.source_kernels import compile_sources
from porter.spec import Family, Value

FAMILY = "steel_gemm_fused"
_AT_ONCE = 24  # kernels in one run of the compiler


@dataclass(frozen=True)
class Launch:
    """One run of one ported kernel, straight through the runtime: the row, the constants and the operands."""

    row: Instantiation
    axes: Mapping[str, Any]
    constants: Mapping[str, Value]
    case: Case

    def describe(self) -> str:
        m, n = self.case.exact.shape[-2:]
        true = [name for name, value in self.constants.items() if value]
        return f"{self.row.host_name}, {m}x{n}x{self.case.inner}, constants true: {', '.join(true) or 'none'}"


def prove_products(case: Proved) -> tuple[Proof, ...]:
    """The three claims. Raises ToolchainError or MetalError where nothing can be run."""
    family = case.family
    names = list(_host_name_launches(family, case.rows if case.everything else case.chosen))
    combinations = list(_combination_launches(family, case.rows))
    kernels = Kernels(case)
    kernels.build((launch.row, launch.constants) for launch in names + combinations)
    claims = (
        ("every host name computes its product", names, case.status),
        ("every combination computes its product", combinations, Status.PROVED),
    )
    proofs = []
    for claim, launches, status in claims:
        found: dict[str, list[Finding]] = {NUMPY: [], MLX: []}
        for number, launch in enumerate(launches):
            case.progress("outputs: running kernels", number + 1, len(launches))
            result = kernels.run(launch)
            size = launch.case.exact.size * launch.case.inner
            found[NUMPY].append(Finding(size, launch.case.worst(result), launch.describe()))
            against = mlx_worst(launch.case, result)
            found[MLX].append(Finding(size, against, launch.describe()))
        proofs += [conclude(case, claim, witness, findings, status) for witness, findings in found.items()]
    from porter.prove.operators import prove_operators

    return (*proofs, *prove_operators(case))


def _host_name_launches(family: Family, rows: Iterable[Instantiation]) -> Iterator[Launch]:
    """Every host name on a shape that no tile divides, so that every guarded load and store is taken."""
    constants: dict[str, Value] = dict.fromkeys((c.name for c in family.constants), False)
    for seed, (row, axes) in enumerate(_with_axes(family, rows)):
        shape = (axes["bm"] + 1, axes["bn"] + 3, axes["bk"] + 5)
        yield Launch(row, axes, constants, make_case(seed, axes["dtype"], shape))


def _combination_launches(family: Family, rows: Iterable[Instantiation]) -> Iterator[Launch]:
    """Every combination of the constants on one kernel, with shapes, batches and epilogues that each one asks for.

    The kernel is the float32 one with the smallest tile: the constants choose between the same paths in all of them
    (ring code compares each), and a small tile compiles fastest.
    """
    wanted = ((r, x) for r, x in _with_axes(family, rows) if x["dtype"] == "float32" and x["transpose"] == "nn")
    row, axes = min(wanted, key=lambda pair: pair[1]["bm"] * pair[1]["bn"] * pair[1]["bk"])
    for seed, constants in enumerate(family.combinations(row.template)):
        sizes = (("align_M", "bm"), ("align_N", "bn"), ("align_K", "bk"))
        m, n, k = (axes[tile] * 2 - (0 if constants[name] else 7) for name, tile in sizes)
        yield Launch(
            row,
            axes,
            constants,
            make_case(
                1000 + seed,
                "float32",
                (m, n, k),
                # two batch dimensions, one of them broadcast on either side, or one plain one
                batch=((2, 1), (1, 3)) if constants["has_batch"] else ((2,), (2,)),
                alpha=0.75 if constants["do_axpby"] else 1.0,
                beta=-1.5 if constants["do_axpby"] else 1.0,
                with_c=bool(constants["use_out_source"]),
            ),
        )


def _with_axes(family: Family, rows: Iterable[Instantiation]) -> Iterator[tuple[Instantiation, dict[str, Any]]]:
    for row in rows:
        yield row, dict(family.axes_by_name[row.host_name])


class Kernels:
    """The ported kernels, compiled for the CPU."""

    def __init__(self, case: Proved) -> None:
        self.family, self.structs, self.progress = case.family, case.structs, case.progress
        self.source = PortSource.of(case)
        self.kernels: dict[Wanted, Kernel | str] = {}

    def build(self, kernels: Iterable[tuple[Instantiation, Mapping[str, Value]]]) -> None:
        wanted = list(dict.fromkeys(self.source.wanted(row, constants) for row, constants in kernels))
        for at in range(0, len(wanted), _AT_ONCE):
            self.progress("outputs: compiling kernels", at, len(wanted))
            self.kernels.update(compile_sources(wanted[at : at + _AT_ONCE]))

    def run(self, launch: Launch) -> Any:
        """The decoded result of one launch."""
        axes, case = launch.axes, launch.case
        batch = case.exact.shape[:-2]
        m, n = case.exact.shape[-2:]
        kernel = self.kernels[self.source.wanted(launch.row, launch.constants)]
        if isinstance(kernel, str):
            raise MetalError(kernel)
        out = encode(np.full(case.exact.shape, np.nan), case.dtype)
        operands = [
            _operand(case.a, axes["transpose_a"], case.dtype),
            _operand(case.b, axes["transpose_b"], case.dtype),
        ]
        c = None if case.c is None else encode(case.c, case.dtype)
        tiles = {"m": -(-m // axes["bm"]), "n": -(-n // axes["bn"])}
        stacked = launch.constants["has_batch"]
        strides = [_batch_strides(x, batch) for x in (case.a, case.b, *([] if case.c is None else [case.c]))]
        plain = [0 if stacked or not s else s[-1] for s in strides]
        count = int(np.prod(batch, dtype=np.int64))
        buffers: dict[int, Any] = {
            0: operands[0],
            1: operands[1],
            2: out if c is None else c,
            3: out,
            4: self._struct(
                "GEMMParams",
                M=m,
                N=n,
                K=case.inner,
                lda=m if axes["transpose_a"] else case.inner,
                ldb=case.inner if axes["transpose_b"] else n,
                ldd=n,
                tiles_n=tiles["n"],
                tiles_m=tiles["m"],
                batch_stride_a=plain[0],
                batch_stride_b=plain[1],
                batch_stride_d=m * n,
                swizzle_log=self.family.tiles.swizzle_log if self.family.tiles else 0,
                gemm_k_iterations_aligned=case.inner // axes["bk"],
                batch_ndim=len(batch),
            ),
            5: self._struct(
                "GEMMAddMMParams",
                ldc=n if c is not None else 0,
                fdc=1 if c is not None else 0,
                batch_stride_c=plain[2] if c is not None else 0,
                alpha=case.alpha,
                beta=case.beta,
            ),
            6: np.array(batch if stacked else [0], np.int32),
            7: np.array(list(itertools.chain(*strides)) if stacked else [0], np.int64),
        }
        group = (32, int(axes["wn"]), int(axes["wm"]))
        kernel(buffers, (tiles["n"] * group[0], tiles["m"] * group[1], count * group[2]), group)
        return decode(out, case.dtype)

    def _struct(self, name: str, **values: float) -> bytes:
        struct: ParamsStruct = self.structs[name]
        unknown = set(values) ^ {field.name for field in struct.fields}
        if unknown:
            raise ProofError(f"{name} has not the fields that the ring fills: {', '.join(sorted(unknown))}")
        layout = np.dtype(
            {
                "names": [f.name for f in struct.fields],
                "formats": [{"float": "<f4", "int64_t": "<i8"}.get(f.type.split()[-1], "<i4") for f in struct.fields],
                "offsets": [f.offset for f in struct.fields],
                "itemsize": struct.size,
            }
        )
        return np.array([tuple(values[f.name] for f in struct.fields)], layout).tobytes()


def _operand(values: Any, transposed: bool, dtype: str) -> Any:
    return encode(np.swapaxes(values, -1, -2) if transposed else values, dtype)


def _batch_strides(values: Any, batch: tuple[int, ...]) -> list[int]:
    """Strides in elements over the batch dimensions; 0 where the operand is broadcast."""
    sizes = values.shape[:-2]
    matrix = values.shape[-1] * values.shape[-2]
    steps = [int(np.prod(sizes[i + 1 :], dtype=np.int64)) * matrix for i in range(len(sizes))]
    return [0 if size == 1 and full != 1 else step for size, step, full in zip(sizes, steps, batch, strict=True)]
