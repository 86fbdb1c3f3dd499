# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Many kernels of a few texts of Metal source, each text compiled once for all that is wanted of it."""

from __future__ import annotations

from collections.abc import Iterable

from porter.errors import SteelPortError
from porter.metal.compiler import compile_source
from porter.metal.execution import load
from porter.metal.kernel import Kernel
from porter.prove.compiled_kernels import settable
from porter.prove.runnable import Text, Wanted


def compile_sources(wanted: Iterable[Wanted]) -> dict[Wanted, Kernel | str]:
    """Each kernel, or what the compiler said of it. Where a text fails as a whole its kernels are tried one by one."""
    texts: dict[Text, dict[Wanted, None]] = {}
    for one in wanted:
        texts.setdefault(one.text, {})[one] = None
    out: dict[Wanted, Kernel | str] = {}
    for text, listed in texts.items():
        try:
            out.update(_compiled(text, list(listed)))
        except SteelPortError as error:
            out.update(_each(text, list(listed)) if len(listed) > 1 else dict.fromkeys(listed, str(error)))
    return out


def _each(text: Text, wanted: list[Wanted]) -> dict[Wanted, Kernel | str]:
    out: dict[Wanted, Kernel | str] = {}
    for one in wanted:
        try:
            out.update(_compiled(text, [one]))
        except SteelPortError as error:
            out[one] = str(error)
    return out


def _compiled(text: Text, wanted: list[Wanted]) -> dict[Wanted, Kernel | str]:
    lines = "".join(dict.fromkeys(one.line for one in wanted))
    names = [one.host_name for one in wanted]
    unit = compile_source(text.source + lines, kernels=names, constants=settable(dict(text.constants)), once=True)
    by_name = {kernel.name: kernel for kernel in load(unit, once=True)}
    return {one: by_name[one.host_name] for one in wanted}
