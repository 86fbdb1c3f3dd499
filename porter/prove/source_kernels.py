# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Many kernels of a few texts of Metal source, each text compiled once for all that is wanted of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from porter.errors import SteelPortError
from porter.metal.compiler import compile_source
from porter.metal.execution import load
from porter.metal.kernel import Kernel
from porter.prove.runnable import Text


@dataclass(frozen=True)
class Wanted:
    """One kernel of one text."""

    text: Text
    host_name: str


def compile_sources(wanted: Iterable[Wanted]) -> dict[Wanted, Kernel | str]:
    """Each kernel, or what the compiler said of it. Where a text fails as a whole its kernels are tried one by one."""
    texts: dict[Text, dict[str, None]] = {}
    for one in wanted:
        texts.setdefault(one.text, {})[one.host_name] = None
    out: dict[Wanted, Kernel | str] = {}
    for text, names in texts.items():
        try:
            made: Sequence[Kernel | str] = _compiled(text, list(names))
        except SteelPortError as error:
            made = [_alone(text, name) for name in names] if len(names) > 1 else [str(error)]
        out.update({Wanted(text, name): kernel for name, kernel in zip(names, made, strict=True)})
    return out


def _alone(text: Text, name: str) -> Kernel | str:
    try:
        return _compiled(text, [name])[0]
    except SteelPortError as error:
        return str(error)


def _compiled(text: Text, names: list[str]) -> list[Kernel]:
    unit = compile_source(text.source, kernels=names, constants=dict(text.constants), once=True)
    by_name = {kernel.name: kernel for kernel in load(unit, once=True)}
    return [by_name[name] for name in names]
