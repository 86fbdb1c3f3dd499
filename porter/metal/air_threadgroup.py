# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Threadgroup variables of a compiled kernel: thread_local globals, as every loader hands them over (kernel_unit).

The address of one is asked for where a function begins. LLVM allows a constant expression where an instruction needs a
global's address, so that those of a variable become instructions there too.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from porter.errors import MetalError
from porter.metal.ir_text import NAME

_FUNCTION = re.compile(r"^define [^\n]*\{\n.*?^\}\n", re.M | re.S)
_EXPRESSION = re.compile(
    r"(?<![\w.])(getelementptr|ptrtoint|bitcast|add|sub)((?: inbounds| nusw| nuw| nsw|(?: inrange\([^)]*\)))*) "
    r'\(((?:[^()"]|"[^"]*")*%threadgroup\.(?:[^()"]|"[^"]*")*)\)'
)
_DEEPEST = 16


def variables(text: str) -> tuple[str, ...]:
    """The globals of `text`, as LLVM wrote it, in threadgroup memory."""
    return tuple(re.findall(rf"^@({NAME}) = [^\n=]*?\baddrspace\(3\) (?:global|constant) ", text, re.M))


def localise(text: str, names: Collection[str]) -> str:
    """`text` (without address spaces) with the globals `names` as threadgroup variables."""
    if not names:
        return text
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    text = re.sub(
        rf"^@({listed}) = (?:internal |private |linkonce_odr |weak_odr )?(?:unnamed_addr |local_unnamed_addr )?"
        r"(?:global|constant) ",
        r"@\1 = internal thread_local global ",
        text,
        flags=re.M,
    )
    use = re.compile(rf"@({listed})(?![\w.$-])")
    return _FUNCTION.sub(lambda found: _addresses(found.group(), use), text)


def _addresses(function: str, use: re.Pattern[str]) -> str:
    used = list(dict.fromkeys(use.findall(function)))
    if not used:
        return function
    head, body = function.split("\n", 1)
    local = {name: f"%threadgroup.{number}" for number, name in enumerate(used)}
    begin = [f"  {local[name]} = call ptr @llvm.threadlocal.address.p0(ptr @{name})" for name in used]
    body = use.sub(lambda found: local[found[1]], body)
    expressions: dict[str, str] = {}

    def instruction(found: re.Match[str]) -> str:
        if found.group() not in expressions:
            name = f"%threadgroup.{len(used) + len(expressions)}"
            expressions[found.group()] = name
            begin.append(f"  {name} = {found[1]}{found[2]} {found[3]}")
        return expressions[found.group()]

    for _ in range(_DEEPEST):
        body, count = _EXPRESSION.subn(instruction, body)
        if not count:
            break
    else:
        raise MetalError("constant expressions of threadgroup variables that nest too deep")
    label = re.match(r"^(?:[\w.$-]+|\"[^\"]*\"):[^\n]*\n", body)
    at = label.end() if label else 0
    return f"{head}\n{body[:at]}" + "\n".join(begin) + f"\n{body[at:]}"
