# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Constants of a program that are computed when it starts: nothing starts here, so that a kernel may not need one.

The optimiser turns every initialiser that it can evaluate into a value. What is left hangs on a function constant
without a value, or on something that is no constant at all.
"""

from __future__ import annotations

import re

_NAME = r'"[^"]+"|[\w.$]+'
_LIST = re.compile(r"^@llvm\.global_ctors = .*\n", re.M)
_STORE = re.compile(rf"^  store .*, ptr @({_NAME})(?:,|$)", re.M)


def without_constructors(ir: str) -> tuple[str, tuple[str, ...]]:
    """Optimised IR without what would run at the start, and which symbols a kernel needs for want of it: those that
    nothing defines and that go into a variable some function reads, or the variable itself."""
    listed = _LIST.search(ir)
    if listed is None:
        return ir, ()
    rest = _LIST.sub("", ir)
    bodies = []
    for name in re.findall(rf"ptr @({_NAME}), ptr", listed.group()):
        found = re.search(rf"^define [^\n]*@{re.escape(name)}\(.*?^}}\n", rest, re.M | re.S)
        if found is not None:
            bodies.append(found.group())
            rest = rest.replace(found.group(), "")
    functions = "".join(re.findall(r"^define .*?^}\n", rest, re.M | re.S))
    external = set(re.findall(rf"^@({_NAME}) = external ", rest, re.M))
    needed: list[str] = []
    for body in bodies:
        position = 0
        for store in _STORE.finditer(body):
            if re.search(rf"@{re.escape(store.group(1))}(?![\w.$])", functions):
                before = _of(body[position : store.end()], external) or _of(body[: store.end()], external)
                needed += before or [store.group(1)]
            position = store.end()
    return rest, tuple(dict.fromkeys(needed))


def _of(text: str, external: set[str]) -> list[str]:
    return [name for name in re.findall(rf"@({_NAME})", text) if name in external]
