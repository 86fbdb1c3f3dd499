# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring code, the run-time source: the string that the host compiles is the headers that were compared with upstream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from porter.emit.names import namespace, overlay_name
from porter.model import Proof, Ring, Status
from porter.prove.case import Case
from porter.prove.compile import preprocess
from porter.prove.host import output_of
from porter.prove.sides import METAL_DEFINITIONS, port_side, tokens, without_foreign_includes

CLAIM = "the run-time source is the headers"
WITNESS = "the emitted headers"

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>", re.M)


def prove_flattened(case: Case) -> Proof:
    """The emitted string, as the host's compiler has it, against the headers, both after the preprocessor: the same
    tokens mean the same kernels."""
    port = port_side(case)
    flat = flattened_source(case)
    mine = _foreign_includes(port.files.values(), port.files)
    theirs = _foreign_includes([flat], port.files)
    head = "".join(line + "\n" for line in port.main.splitlines() if line.startswith("#define"))
    mine += tokens(port.preprocessed)
    theirs += tokens(preprocess(head + without_foreign_includes(flat, {}), definitions=METAL_DEFINITIONS))
    family, count = case.family.name, len(mine)
    if mine == theirs and mine:
        return Proof(Ring.CODE, family, CLAIM, WITNESS, Status.PROVED, count)
    first = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    there, here = (" ".join(found[first : first + 6]) for found in (mine, theirs))
    why = f"token {first}: {there!r} in the headers, {here!r} in {overlay_name(case.family)}Source.h"
    return Proof(Ring.CODE, family, CLAIM, WITNESS, Status.DIFFERS, count, why)


def flattened_source(case: Case) -> str:
    """The string as the host's compiler has it. Raises ProofError where the header does not compile."""
    printer = f"int main() {{ std::fputs({namespace(case.family, case.target)}::kSource, stdout); }}\n"
    header = f"{case.target.operations}/{overlay_name(case.family)}Source.h"
    rows = output_of(
        f"#include <{header}>\n#include <cstdio>\n{printer}",
        case.overlay_root / "pytorch" / case.target.source_root,
    )
    return "\n".join("\t".join(line) for line in rows)


def _foreign_includes(texts: Iterable[str], files: Mapping[str, str]) -> list[str]:
    """The headers that `texts` include and that are not among `files`: Metal's own, without which nothing compiles."""
    return sorted({path for text in texts for path in _INCLUDE.findall(text)} - set(files))
