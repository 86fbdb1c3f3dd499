# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names, for families whose host selects tiles: the template arguments are what the host names say.

The names are Apple's, so a table that comes from the YAML alone cannot swap two values of it. Families without tiles
have the argument types of Apple's compiled kernels instead (porter/prove/compiled_interface.py).
"""

from __future__ import annotations

import re

from porter.errors import ProofError
from porter.model import Instantiation, Proof, Ring, Status
from porter.prove.case import Case
from porter.prove.kernels import each
from porter.prove.names import host_arguments

CLAIM = "template arguments are what the names say"
WITNESS = "Apple's names, upstream's header"

# How upstream's kernel templates call what their host names say; the dtype is the first template parameter.
_SPOKEN = {"transpose_a": "transpose_a", "transpose_b": "transpose_b"} | {
    n.upper(): n for n in ("bm", "bn", "bk", "wm", "wn")
}
_TYPES = {"float16": "half", "bfloat16": "bfloat16_t", "float32": "float", "complex64": "complex64_t"}
_HOST_NAME = re.compile(r"\w+?_([nt])([nt])_([a-z]+\d+)_[a-z]+\d+_bm(\d+)_bn(\d+)_bk(\d+)_wm(\d+)_wn(\d+)")

# The columns of such a family's host table; its dtype is an enumerator, which C++ prints as no word.
HOST_COLUMNS = ("host_name", "arguments", "dtype", "transpose_a", "transpose_b",
                *(f"tile.{name}" for name in ("bm", "bn", "bk", "wm", "wn")))  # fmt: skip


def host_values(case: Case) -> dict[str, str]:
    """Column -> the C++ expression that prints it, where the column prints no word of itself."""
    dtypes = sorted({_said(row)[0] for row in case.rows})
    named = "".join(f'row.dtype == ours::DType::{dtype} ? "{dtype}" : ' for dtype in dtypes)
    return {"dtype": f'({named}"?")'}


def host_row(case: Case, row: Instantiation) -> list[str]:
    """What the host must know of a kernel, read off upstream's host name and template arguments."""
    dtype, a, b, *tile = _said(row)
    return [row.host_name, host_arguments(case, row), dtype, str(int(a == "true")), str(int(b == "true")), *tile]


def arguments_say_what_names_say(case: Case) -> Proof:
    """Every row's template arguments, by the parameters' names in upstream's header, against what the name says."""
    problems: dict[str, list[str]] = {}
    for row in case.rows:
        parameters = case.templates[row.template].parameters
        given = dict(zip((parameter.name for parameter in parameters), row.arguments, strict=False))
        dtype, *said = _said(row)
        spoken = dict(zip(("transpose_a", "transpose_b", "bm", "bn", "bk", "wm", "wn"), said, strict=True))
        expected = {name: spoken[key] for name, key in _SPOKEN.items()} | {parameters[0].name: _TYPES[dtype]}
        wrong = [f"{name} is {given.get(name)}, not {value}" for name, value in expected.items()
                 if given.get(name) != value]  # fmt: skip
        if wrong:
            problems[row.host_name] = wrong
    status = Status.DIFFERS if problems else Status.PROVED
    count = sum(map(len, problems.values()))
    first = next(iter(problems.items()), None)
    why = f"{count} arguments; first: {first[0]}: {first[1][0]}" if first else ""
    kernels = each((row.host_name for row in case.rows), problems)
    cases = len(case.rows) * (len(_SPOKEN) + 1)
    return Proof(Ring.NAMES, case.family.name, CLAIM, WITNESS, status, cases, why, (), kernels)


def _said(row: Instantiation) -> list[str]:
    """dtype, both transposes (as C++ spells them) and the tile, as the host name says them."""
    found = _HOST_NAME.fullmatch(row.host_name)
    if found is None:
        raise ProofError(f"{row.host_name} does not say its template arguments", where=str(row.origin))
    a, b, dtype, *tile = found.groups()
    return [dtype, str(a == "t").lower(), str(b == "t").lower(), *tile]
