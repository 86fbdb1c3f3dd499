# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring outputs: what the ported kernel computes, on the CPU, against float64 and against MLX's arrays.

Three claims. Every host name computes its product; every combination of the constants does; and the operators, through
the shipped glue on the Linux `mps` device, do so on the grid of shapes that the family names. A result must lie within
the bound that `porter/prove/tolerance.py` derives; one outside is reported with the smallest case that shows it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from porter.emit import ROOT, overlay_name, ported_argument
from porter.emit.flatten import flatten
from porter.errors import ProofError
from porter.model import Corpus, Instantiation, ParamsStruct, Proof
from porter.port.target import Target
from porter.prove.findings import MLX, NUMPY, Finding, conclude
from porter.prove.samples import Case, decode, encode, make_case, mlx_worst
from porter.spec import Family

Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Launch:
    """One run of one ported kernel, straight through the runtime: the row, the constants and the operands."""

    row: Instantiation
    axes: Mapping[str, Any]
    constants: Mapping[str, bool]
    case: Case

    def describe(self) -> str:
        m, n = self.case.exact.shape[-2:]
        true = [name for name, value in self.constants.items() if value]
        return f"{self.row.host_name}, {m}x{n}x{self.case.inner}, constants true: {', '.join(true) or 'none'}"


def prove_outputs(
    family: Family, corpus: Corpus, overlay_root: Path, target: Target, jobs: int, progress: Progress
) -> tuple[Proof, ...]:
    """Run the ring. `overlay_root` is generated/. Raises ToolchainError or MetalError where nothing can be run."""
    rows = [row for row in corpus.instantiations if row.template == family.template]
    kernels = Kernels(family, corpus, overlay_root, target)
    names = list(_host_name_launches(family, rows))
    combinations = list(_combination_launches(family, rows))
    kernels.compile((launch.row, launch.constants) for launch in names + combinations)
    kernels.build(jobs, progress)
    claims = (
        ("every host name computes its product", names),
        ("every combination computes its product", combinations),
    )
    proofs = []
    for claim, launches in claims:
        found: dict[str, list[Finding]] = {NUMPY: [], MLX: []}
        for number, launch in enumerate(launches):
            progress("outputs: running kernels", number + 1, len(launches))
            result = kernels.run(launch)
            size = launch.case.exact.size * launch.case.inner
            found[NUMPY].append(Finding(size, launch.case.worst(result), launch.describe()))
            against = mlx_worst(launch.case, result)
            found[MLX].append(Finding(size, against, launch.describe()))
        proofs += [conclude(family, claim, witness, findings) for witness, findings in found.items()]
    from porter.prove.operators import prove_operators

    return (*proofs, *prove_operators(family, overlay_root, target, progress))


def _host_name_launches(family: Family, rows: Iterable[Instantiation]) -> Iterator[Launch]:
    """Every host name on a shape that no tile divides, so that every guarded load and store is taken."""
    constants = dict.fromkeys((c.name for c in family.constants), False)
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
    for seed, constants in enumerate(family.combinations()):
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
                with_c=constants["use_out_source"],
            ),
        )


def _with_axes(family: Family, rows: Iterable[Instantiation]) -> Iterator[tuple[Instantiation, dict[str, Any]]]:
    by_name = {family.grammar.format(**axes): axes for axes in family.rows()}
    for row in rows:
        yield row, by_name[row.host_name]


class Kernels:
    """The ported kernels, compiled for the CPU one instantiation at a time, as the glue does on a Mac."""

    def __init__(self, family: Family, corpus: Corpus, overlay_root: Path, target: Target) -> None:
        self.family, self.target = family, target
        self.structs = {s.name.rpartition("::")[2]: s for s in corpus.params}
        root = overlay_root / ROOT / target.source_root
        headers = {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in sorted(root.rglob("*.h"))}
        self.source = flatten(f"{target.kernels}/{overlay_name(family)}.h", headers)
        self.wanted: dict[str, str] = {}
        self.kernels: dict[str, Any] = {}

    def compile(self, kernels: Iterable[tuple[Instantiation, Mapping[str, bool]]]) -> None:
        """Ask for kernels; `build` makes them."""
        for row, constants in kernels:
            name = row.host_name + self.family.suffix(constants)
            arguments = [ported_argument(a, self.target) for a in row.arguments]
            spelled = ", ".join([*arguments, *(str(value).lower() for value in constants.values())])
            kernel = f"{self.family.template}<{spelled}>"
            line = f'template [[host_name("{name}")]] [[kernel]] decltype({kernel}) {kernel};\n'
            self.wanted[name] = f"{self.source}\n{line}"

    def build(self, jobs: int, progress: Progress) -> None:
        from porter.metal import Library

        def compiled(name: str) -> Any:
            return Library(self.wanted[name])[name]

        with ThreadPoolExecutor(jobs) as pool:
            for number, (name, kernel) in enumerate(zip(self.wanted, pool.map(compiled, self.wanted), strict=True)):
                self.kernels[name] = kernel
                progress("outputs: compiling kernels", number + 1, len(self.wanted))

    def run(self, launch: Launch) -> Any:
        """The decoded result of one launch."""
        axes, case = launch.axes, launch.case
        batch = case.exact.shape[:-2]
        m, n = case.exact.shape[-2:]
        name = launch.row.host_name + self.family.suffix(launch.constants)
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
                swizzle_log=self.family.tiles.swizzle_log,
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
        self.kernels[name](buffers, (tiles["n"] * group[0], tiles["m"] * group[1], count * group[2]), group)
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
