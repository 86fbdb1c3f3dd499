# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What stops a processor but no GPU, taken out of a kernel's IR before it is optimised.

Metal leaves the results open; here they are stated (docs/metal.md), and the process goes on:

- An integer division by zero, and the smallest integer by -1: the divisor counts as 1, so that the quotient is the
  dividend and the remainder 0.
- An access to memory that is not aligned as its type wants it: works, because no access is taken to be aligned to more
  than four bytes (a buffer bound from numpy is aligned to 16, one bound in its middle to less).
"""

from __future__ import annotations

import re

_VALUE = r"(?:%[\w.$]+|-?\d+|zeroinitializer|splat \(\w+ -?\d+\)|<[^<>]*>)"
_DIVISION = re.compile(
    rf"^(?P<indent> +)(?P<result>%[\w.$]+) = (?P<operation>[su](?:div|rem))(?: exact)? "
    rf"(?P<type>i\d+|<\d+ x i\d+>) (?P<dividend>{_VALUE}), (?P<divisor>{_VALUE})(?P<rest>.*)$",
    re.M,
)
_SAFE_DIVISOR = re.compile(r"[1-9]\d*|splat \(i\d+ [1-9]\d*\)")

# Of everything but the memory that the module itself lays out.
_ALIGNED = re.compile(r"^(?!@|.* alloca )(.*\balign (?:16|32|64|128)\b.*)$", re.M)
_ALIGNMENT = re.compile(r"\balign (?:16|32|64|128)\b")


def guarded(ir: str) -> str:
    """The IR with guarded divisions, and without alignments of more than four bytes where the host lays memory out."""
    text = _DIVISION.sub(_guarded_division, ir)
    return _ALIGNED.sub(lambda found: _ALIGNMENT.sub("align 4", found[1]), text)


def _guarded_division(found: re.Match[str]) -> str:
    if _SAFE_DIVISOR.fullmatch(found["divisor"]):
        return found[0]
    kind, divisor, dividend = found["type"], found["divisor"], found["dividend"]
    bits = int(re.search(r"i(\d+)", kind)[1])  # type: ignore[index]
    is_vector = kind.startswith("<")
    condition = kind.replace(f"i{bits}", "i1")
    name = f"%msl.guard.{found['result'][1:]}"

    def constant(value: int) -> str:
        return f"splat (i{bits} {value})" if is_vector else str(value)

    lines = [f"{name}.stops = icmp eq {kind} {divisor}, {constant(0)}"]
    stops = f"{name}.stops"
    if found["operation"].startswith("s"):
        lines += [
            f"{name}.minus = icmp eq {kind} {divisor}, {constant(-1)}",
            f"{name}.least = icmp eq {kind} {dividend}, {constant(-(1 << (bits - 1)))}",
            f"{name}.overflows = and {condition} {name}.minus, {name}.least",
            f"{name}.either = or {condition} {stops}, {name}.overflows",
        ]
        stops = f"{name}.either"
    lines += [
        f"{name}.divisor = select {condition} {stops}, {kind} {constant(1)}, {kind} {divisor}",
        f"{found['result']} = {found['operation']} {kind} {dividend}, {name}.divisor{found['rest']}",
    ]
    return "\n".join(f"{found['indent']}{line}" for line in lines)
