# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""8 x 8 matrices of Apple's kernels: a vector of 64 elements, of which each lane uses its first two.

Here they are vectors of two, as in the source loader (msl/metal_simdgroup_matrix), so that products can be run in
batches (`matrix_lowering`). In memory a matrix keeps the room of 64, so that what counts bytes stays right.
"""

from __future__ import annotations

import re

from porter.errors import MetalError
from porter.metal.ir_text import closing, leading_type, split

_WIDE = re.compile(r"<64 x (float|half|bfloat)>")
_IN_MEMORY = re.compile(r"^%\S+ = type |= alloca |= getelementptr | getelementptr ")
_SHUFFLE = re.compile(r"^(  %\S+ = shufflevector )(.*)$")
_ELEMENT = re.compile(r"(?:extractelement|insertelement) <2 x .*, i(?:32|64) (\S+)$")


def narrow(text: str) -> str:
    """`text` with its matrices as vectors of two. Raises MetalError where a lane uses another element."""
    if "<64 x " not in text:
        return text
    return "\n".join(_line(line) if "<64 x " in line else line for line in text.split("\n"))


def _line(line: str) -> str:
    if _IN_MEMORY.search(line) and "shufflevector" not in line:
        return _WIDE.sub(r"[32 x <2 x \1>]", line)
    if shuffle := _SHUFFLE.match(line):
        return shuffle[1] + _shuffle(shuffle[2])
    line = _constants(line)
    line = _WIDE.sub(r"<2 x \1>", line)
    element = _ELEMENT.search(line)
    if element and element[1] not in ("0", "1"):
        raise MetalError(f"element {element[1]} of a lane's part of an 8 x 8 matrix, which has two: {line.strip()}")
    return line


def _constants(line: str) -> str:
    """Cut constant matrices down to their first two elements."""
    at = 0
    while found := _WIDE.search(line, at):
        at = found.end()
        if line.startswith(" <", at):
            end = closing(line, at + 1) + 1
            line = f"{line[: at + 1]}<{', '.join(split(line[at + 2 : end - 1])[:2])}>{line[end:]}"
    return line


def _shuffle(operands: str) -> str:
    first, second, mask = split(operands)
    types = [leading_type(part) for part in (first, second)]
    width = int(types[0][1:].split(" ", 1)[0])
    narrowed = [_WIDE.sub(r"<2 x \1>", _constants(part)) for part in (first, second)]
    mask_type = leading_type(mask)
    values = mask[len(mask_type) :].strip()
    if not values.startswith("<"):  # zeroinitializer, poison
        return f"{narrowed[0]}, {narrowed[1]}, {mask_type.replace('<64 x', '<2 x')} {values}"
    picks = [
        _pick(pick.split()[-1], width) for pick in split(values[1:-1])[: 2 if mask_type.startswith("<64 x") else None]
    ]
    return f"{narrowed[0]}, {narrowed[1]}, <{len(picks)} x i32> <{', '.join(f'i32 {pick}' for pick in picks)}>"


def _pick(pick: str, width: int) -> str:
    """The element of two vectors of two that element `pick` of two vectors of `width` becomes."""
    if not pick.isdigit():
        return pick
    vector, element = divmod(int(pick), width)
    if element > 1:
        raise MetalError(f"element {element} of a lane's part of an 8 x 8 matrix is used, which has two")
    return str(2 * vector + element)
