# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The operators of the overlay, through its own glue, on the Linux `mps` device.

The glue that is compiled and run here is the file that ships: pure C++ against PyTorch's MetalShaderLibrary.h. What is
ours is the device under it (porter/metal/torch), which keeps libtorch's semantics.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porter.emit import ROOT
from porter.model import Proof
from porter.port.target import Target
from porter.prove.case import Case as Proved
from porter.prove.findings import MLX, NUMPY, Finding, conclude
from porter.prove.samples import Case, decode, encode, make_case, mlx_worst
from porter.spec import Family

DTYPES = ("float32", "float16", "bfloat16")
TRANSPOSES = ("nn", "nt", "tn", "tt")
# One letter for each class of device that MLX's tile selection tells apart: small, large, any other.
DEVICE_CLASSES = ("g", "d", "s")
LARGE = 1 << 28  # multiplications: a product beyond this runs once for each dtype, not for every transpose


def load_operators(overlay_root: Path, target: Target) -> Any:
    """Build the overlay's glue on the Linux `mps` device and return `torch.ops.steel`. Done once for each overlay."""
    import torch

    import porter.metal.torch as metal_torch

    root = overlay_root / ROOT / target.source_root
    metal_torch.enable()
    metal_torch.load_glue(sorted((root / target.operations).glob("*.cpp")), [root])
    return torch.ops.steel


@dataclass(frozen=True)
class Call:
    """One call of one operator: which, on which class of device, with which memory layout, and the case behind it."""

    operator: str
    device: str
    layout: str
    case: Case

    def describe(self) -> str:
        sizes = "x".join(map(str, self.case.a.shape)), "x".join(map(str, self.case.b.shape))
        return f"steel::{self.operator} {self.case.dtype} {sizes[0]} by {sizes[1]}, {self.layout}, class {self.device}"


def prove_operators(proved: Proved) -> tuple[Proof, ...]:
    """Every operator on the family's grid of shapes, against float64 and MLX's arrays."""
    import porter.metal.torch as metal_torch

    steel = load_operators(proved.overlay_root, proved.target)
    # Bindings stay from call to call, as on a Mac; poisoned, a slot that the glue forgot is an error and not luck.
    metal_torch.poison_bindings()
    calls = [*_grid(proved.family), *_other_operators()]
    found: dict[str, list[Finding]] = {NUMPY: [], MLX: []}
    try:
        for number, call in enumerate(calls):
            proved.progress("outputs: running operators", number + 1, len(calls))
            steel._set_device_class(call.device)
            size = call.case.exact.size * call.case.inner
            try:
                result = run_call(steel, call)
            except (RuntimeError, SyntaxError) as error:  # what torch and the device raise: the kernel is not right
                what = f"{call.describe()}: {str(error).splitlines()[0]}"
                for findings in found.values():
                    findings.append(Finding(size, float("inf"), what))
                continue
            found[NUMPY].append(Finding(size, call.case.worst(result), call.describe()))
            found[MLX].append(Finding(size, mlx_worst(call.case, result), call.describe()))
    finally:
        steel._set_device_class("")
        metal_torch.poison_bindings(False)
    claim = "the operators compute their products"
    return tuple(conclude(proved, claim, witness, findings) for witness, findings in found.items())


def _grid(family: Family) -> Iterator[Call]:
    """mm over every shape, dtype and transpose on a medium device, and one awkward shape on the others."""
    seed = itertools.count(5000)
    for (m, n, k), dtype, layout in itertools.product(family.shapes, DTYPES, TRANSPOSES):
        if m * n * k <= LARGE or layout == "nn":
            yield Call("mm", "s", layout, make_case(next(seed), dtype, (m, n, k)))
    for device, dtype, layout in itertools.product(("g", "d"), DTYPES, TRANSPOSES):
        yield Call("mm", device, layout, make_case(next(seed), dtype, (65, 97, 50)))


def _other_operators() -> Iterator[Call]:
    """The operators with an epilogue or a batch, plain and with the strides that users bring."""
    seed = itertools.count(9000)
    for dtype in DTYPES:
        for alpha, beta in ((1.0, 1.0), (0.5, -2.0), (1.0, -2.0), (0.25, 1.0), (3.0, 0.0)):
            case = make_case(next(seed), dtype, (33, 65, 17), alpha=alpha, beta=beta, with_c=True)
            yield Call("addmm", "s", "nn", case)
            batched = make_case(next(seed), dtype, (33, 20, 17), ((3,), (3,)), alpha, beta, with_c=True)
            yield Call("baddbmm", "s", "nt", batched)
        for layout in (*TRANSPOSES, "strided"):
            yield Call("bmm", "s", layout, make_case(next(seed), dtype, (34, 66, 18), ((4,), (4,))))
        yield Call("bmm", "s", "nn", make_case(next(seed), dtype, (34, 66, 18), ((4,), (1,))))
        yield Call("mm", "s", "strided", make_case(next(seed), dtype, (40, 24, 56)))
        for batch in ((), (3,), (2, 3)):
            yield Call("linear", "s", "nt", make_case(next(seed), dtype, (5, 24, 40), (batch, ()), beta=1.0, bias=True))
            yield Call("linear", "s", "nt", make_case(next(seed), dtype, (5, 24, 40), (batch, ())))
        # The added matrix through both its strides, and two batch dimensions that do not merge into one.
        for operator, sizes in (("addmm", ((), ())), ("baddbmm", ((3,), (3,)))):
            case = make_case(next(seed), dtype, (33, 20, 17), sizes, -0.5, 2.0, with_c=True)
            yield Call(operator, "s", "strided", case)
        yield Call(
            "linear", "s", "crossed", make_case(next(seed), dtype, (5, 24, 40), ((2, 3), ()), beta=1.0, bias=True)
        )
        yield Call("linear", "s", "crossed", make_case(next(seed), dtype, (5, 24, 40), ((2, 3), ())))


def to_torch(values: Any, dtype: str) -> Any:
    """A CPU tensor with these values, which are exact in `dtype`."""
    import numpy as np
    import torch

    bits = encode(values, dtype)
    if dtype == "bfloat16":
        return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(bits)


def from_torch(tensor: Any) -> Any:
    """The values of a tensor on any device, in float64."""
    import numpy as np
    import torch

    cpu = tensor.cpu().contiguous()
    if cpu.dtype == torch.bfloat16:
        return decode(cpu.view(torch.int16).numpy().view(np.uint16), "bfloat16")
    return decode(cpu.numpy(), str(cpu.dtype).removeprefix("torch."))


def run_call(steel: Any, call: Call) -> Any:
    """The decoded result of one call, its operands laid out on the device as `call.layout` says."""
    case = call.case
    a = _place(to_torch(case.a, case.dtype), call.layout in ("tn", "tt"), call.layout)
    b = _place(
        to_torch(case.b, case.dtype),
        call.layout in ("nt", "tt", "crossed"),
        "nn" if call.layout == "crossed" else call.layout,
    )
    added = call.layout if call.layout == "strided" else "nn"
    c = None if case.c is None else _place(to_torch(case.c, case.dtype), False, added)
    if call.operator == "mm":
        result = steel.mm(a, b)
    elif call.operator == "bmm":
        result = steel.bmm(a.expand(case.exact.shape[0], -1, -1), b.expand(case.exact.shape[0], -1, -1))
    elif call.operator == "addmm":
        result = steel.addmm(c, a, b, beta=case.beta, alpha=case.alpha)
    elif call.operator == "baddbmm":
        result = steel.baddbmm(c, a, b, beta=case.beta, alpha=case.alpha)
    else:
        result = steel.linear(a, b.t(), c)
    return from_torch(result)


def _place(tensor: Any, transposed: bool, layout: str) -> Any:
    """`tensor` on the device: row major, column major, with gaps in both strides, or its batch dimensions crossed."""
    import torch

    moved = tensor.to("mps")
    if layout == "strided":
        wide = torch.zeros(
            *tensor.shape[:-2], tensor.shape[-2] * 2, tensor.shape[-1] * 3, dtype=tensor.dtype, device="mps"
        )
        view = wide[..., ::2, ::3]
        view.copy_(moved)
        return view
    if layout == "crossed":
        return moved.transpose(0, 1).contiguous().transpose(0, 1)
    return moved.transpose(-1, -2).contiguous().transpose(-1, -2) if transposed else moved
