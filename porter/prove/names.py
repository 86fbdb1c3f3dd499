# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Ring names: the instantiation tables are complete, and hold nothing else.

The table that the port was made from (upstream's macros, or the family's YAML where upstream's .metal file is not at
hand) against the names in Apple's compiled library, and against what the preprocessor alone makes of the .metal file.
Then the tables that were emitted against that table and every combination of the constants.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from porter.errors import ProofError
from porter.metal import air
from porter.model import Corpus, Instantiation, Proof, Ring, Sources, Status
from porter.port.target import Target, camel_case
from porter.prove.host import output_of
from porter.prove.sides import emitted_instantiations
from porter.spec import Family

TABLE_CLAIM = "the table names every kernel, and no other"
ARGUMENTS_CLAIM = "template arguments are what the names say"
EMITTED_CLAIM = "every kernel is emitted once, and no other"
_SHOWN = 3


def prefix(family: Family) -> str:
    """What every host name of the family begins with: the name of upstream's kernel file, not the YAML's grammar."""
    return f"{PurePosixPath(family.kernel).stem}_"


def _of_family(name: str, corpus: Corpus, family: Family) -> bool:
    """Whether a compiled kernel belongs to the family, and not to a file whose name only begins alike (`..._nax`)."""
    stems = {PurePosixPath(file.path).stem for file in corpus.pin.files if file.path.endswith((".h", ".metal"))}
    longer = {f"{stem}_" for stem in stems if stem.startswith(prefix(family))}
    return name.startswith(prefix(family)) and not name.startswith(tuple(longer))


def against_library(sources: Sources, corpus: Corpus, family: Family, library: Path) -> Proof:
    """The table against the names in a compiled library that begin as the family's do."""
    compiled = [f.name for f in air.functions(library) if _of_family(f.name, corpus, family)]
    notes = [f"{len(compiled)} names in the library begin with {prefix(family)}"]
    if family.table not in sources.files:
        notes.append(
            f"the table is that of specs/{family.path}: {family.table} did not come with this source of upstream"
        )
    return _compare(family, TABLE_CLAIM, "Apple's compiled library", _table(corpus, family), compiled, tuple(notes))


# How upstream's kernel templates call what their host names say; the dtype is the first template parameter.
_SPOKEN = {"transpose_a": "transpose_a", "transpose_b": "transpose_b"} | {
    n.upper(): n for n in ("bm", "bn", "bk", "wm", "wn")
}
_TYPES = {"float16": "half", "bfloat16": "bfloat16_t", "float32": "float", "complex64": "complex64_t"}


def arguments_say_what_names_say(corpus: Corpus, family: Family) -> Proof:
    """Every row's template arguments, by the parameters' names in upstream's header, against what the host name says.

    The names are Apple's (the claim before this one), so a table that comes from the YAML alone cannot swap two values.
    """
    template = next(t for t in corpus.templates if t.name == family.template)
    wrong = []
    rows = [row for row in corpus.instantiations if row.template == family.template]
    for row in rows:
        given = dict(zip((p.name for p in template.parameters), row.arguments, strict=False))
        dtype, *said = _said(row)
        spoken = dict(zip(("transpose_a", "transpose_b", "bm", "bn", "bk", "wm", "wn"), said, strict=True))
        expected = {name: spoken[key] for name, key in _SPOKEN.items()} | {template.parameters[0].name: _TYPES[dtype]}
        wrong += [f"{row.host_name}: {n} is {given.get(n)}, not {v}" for n, v in expected.items() if given.get(n) != v]
    status, cases = (Status.DIFFERS if wrong else Status.PROVED), len(rows) * (len(_SPOKEN) + 1)
    why = f"{len(wrong)} arguments; first: {wrong[0]}" if wrong else ""
    return Proof(Ring.NAMES, family.name, ARGUMENTS_CLAIM, "Apple's names, upstream's header", status, cases, why)


def _said(row: Instantiation) -> list[str]:
    """dtype, both transposes (as C++ spells them) and the tile, as the host name says them."""
    found = _HOST_NAME.fullmatch(row.host_name)
    if found is None:
        raise ProofError(f"{row.host_name} does not say its template arguments", where=str(row.origin))
    a, b, dtype, *tile = found.groups()
    return [dtype, str(a == "t").lower(), str(b == "t").lower(), *tile]


def against_text(sources: Sources, corpus: Corpus, family: Family) -> Proof | None:
    """The table against the preprocessor's expansion of upstream's own .metal file; None where that is not at hand."""
    from porter.parse.instantiations import text_only_names

    if family.table not in sources.files:
        return None
    expanded = text_only_names(sources, family.table)
    witness = "text-only expansion"
    return _compare(family, TABLE_CLAIM, witness, _table(corpus, family), sorted(expanded), ())


def emitted_metal(corpus: Corpus, family: Family, overlay_root: Path, target: Target) -> Proof:
    """The emitted .metal file against the table and the combinations."""
    emitted = [row.host_name for row in emitted_instantiations(overlay_root, target, family)]
    expected = [name + family.suffix(c) for name in _table(corpus, family) for c in family.combinations()]
    notes = tuple(f"not emitted: {dict(rule.constants)}, because {rule.reason}" for rule in family.excluded)
    return _compare(family, EMITTED_CLAIM, "emitted .metal file", emitted, expected, notes)


def emitted_host_table(corpus: Corpus, family: Family, overlay_root: Path, target: Target) -> Proof:
    """The host's constexpr table, as the host's compiler reads it, against the table: every column of every row."""
    emitted = [" ".join(row) for row in host_table(family, overlay_root, target)]
    expected = [" ".join(_host_row(row, target)) for row in corpus.instantiations if row.template == family.template]
    return _compare(family, EMITTED_CLAIM, "emitted host table", emitted, expected, ())


_HOST_NAME = re.compile(r"\w+?_([nt])([nt])_([a-z]+\d+)_[a-z]+\d+_bm(\d+)_bn(\d+)_bk(\d+)_wm(\d+)_wn(\d+)")


def _host_row(row: Instantiation, target: Target) -> list[str]:
    """What the host must know of a kernel, read off upstream's host name and template arguments."""
    dtype, a, b, *tile = _said(row)
    names = {**target.aliases, **target.renames}
    arguments = ", ".join(names.get(argument, argument) for argument in row.arguments)
    return [row.host_name, arguments, dtype, str(int(a == "true")), str(int(b == "true")), *tile]


def host_table(family: Family, overlay_root: Path, target: Target) -> list[list[str]]:
    """Rows of the emitted host table: host name, template arguments, dtype, both transposes, bm, bn, bk, wm, wn."""
    header = f"{target.operations}/{camel_case(family.kernel).removesuffix('.h')}Table.h"
    # The namespace as the template of the table has it: at::native::mps::steel::gemm_fused.
    namespace = f"{'::'.join(target.namespaces['mlx'])}::steel::{family.name.removeprefix('steel_')}"
    dtypes = {str(row["dtype"]) for row in family.rows()}
    named = "".join(f'    if (row.dtype == ours::DType::{dtype}) dtype = "{dtype}";\n' for dtype in sorted(dtypes))
    columns = ("transpose_a", "transpose_b", "tile.bm", "tile.bn", "tile.bk", "tile.wm", "tile.wn")
    printed = "".join(f' << "\\t" << row.{column}' for column in columns)
    program = (
        f"#include <{header}>\n#include <iostream>\nnamespace ours = {namespace};\nint main() {{\n"
        f'  for (const auto& row : ours::kInstantiations) {{\n    const char* dtype = "?";\n{named}'
        f'    std::cout << row.host_name << "\\t" << row.arguments << "\\t" << dtype{printed} << "\\n";\n  }}\n}}\n'
    )
    return output_of(program, overlay_root / "pytorch" / target.source_root)


def _table(corpus: Corpus, family: Family) -> list[str]:
    return [row.host_name for row in corpus.instantiations if row.template == family.template]


def _compare(
    family: Family, claim: str, witness: str, mine: Iterable[str], theirs: Iterable[str], notes: tuple[str, ...]
) -> Proof:
    have, want = Counter(mine), Counter(theirs)
    twice = sorted(name for name, count in have.items() if count > 1)
    missing, extra = sorted(want.keys() - have.keys()), sorted(have.keys() - want.keys())
    parts = [
        _listed(kind, names) for kind, names in (("missing", missing), ("extra", extra), ("twice", twice)) if names
    ]
    if not want and not parts:
        parts = ["the witness names no kernel of the family"]
    if parts:
        return Proof(Ring.NAMES, family.name, claim, witness, Status.DIFFERS, len(want), "; ".join(parts), notes)
    return Proof(Ring.NAMES, family.name, claim, witness, Status.PROVED, len(want), "", notes)


def _listed(kind: str, names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{f' and {rest} more' if rest > 0 else ''}"
