# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Where each ported file comes from, line by line: `provenance/*.json` of an overlay.

One small file for each ported file, so that an overlay made of fewer sources (the wheel's headers) has a part of the
same files. What it says is computed from the edits; nothing is stated twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from porter.errors import EmitError
from porter.model import Edit, PortedFile, Sources
from porter.parse.lexer import Token, tokenize
from porter.parse.requests import origin
from porter.port.notice import UPSTREAM
from porter.port.origins import Settled

FOLDER = "provenance"


def provenance_files(
    files: Iterable[tuple[PortedFile, Settled]], sources: Sources, texts: Mapping[str, str]
) -> dict[str, str]:
    """Path -> JSON. `texts`: the ported files as they were formatted, by overlay path (which may have a root before
    `PortedFile.path`). Raises EmitError where formatting did more than move white space."""
    out = {}
    for file, settled in files:
        path = next((path for path in texts if path == file.path or path.endswith(f"/{file.path}")), file.path)
        data = _provenance(file, settled, sources, path, texts.get(path, file.text))
        name = PurePosixPath(file.path).name
        out[f"{FOLDER}/{name}.json"] = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    return out


def _provenance(file: PortedFile, settled: Settled, sources: Sources, path: str, text: str) -> dict[str, object]:
    upstream = sources.files[file.source]
    source = sources.files.get(origin(file.source), upstream)
    written, changed = own_lines(upstream.text, file.edits, file.text, text, file.source)
    rules: dict[str, list[int]] = {}
    for edit in file.edits:
        last = max(edit.start, edit.end - 1)
        first, last = (upstream.text.count("\n", 0, offset) + 1 for offset in (edit.start, last))
        rules.setdefault(edit.rule, []).extend(range(first, last + 1))
    return {
        "file": path,
        "from": {
            "repository": UPSTREAM,
            "revision": sources.pin.revision,
            "path": source.path,
            "sha1": hashlib.sha1(source.text.encode(), usedforsecurity=False).hexdigest(),
            "sha256": source.sha256,
            "lines": f"1-{max(1, len(source.text.splitlines()))}",
            **({"strings written out as": file.source} if source.path != file.source else {}),
        },
        "licence": settled.notice.spdx,
        "copyright": list(settled.notice.copyrights),
        "other origins": [
            {"origin": one.origin, "address": one.address, "kind": one.kind, "licence": one.licence}
            for one in settled.decisions
        ],
        "lines of this file written by steel-port": ranges(written),
        "lines of this file changed by steel-port": ranges(changed),
        "rules, and the upstream lines that they changed": {rule: ranges(lines) for rule, lines in rules.items()},
    }


def own_lines(
    upstream: str, edits: Iterable[Edit], ported: str, formatted: str, where: str
) -> tuple[list[int], list[int]]:
    """The lines of `formatted` of which every token is steel-port's, and those of which some are. All others are
    upstream's, but for white space."""
    ours = _ours(upstream, edits)
    if len(ours) != len(ported):
        raise EmitError("the port is not its upstream file with its edits", where=where)
    whose: dict[int, set[bool]] = {}
    for old, new in _aligned(_tokens(ported), _tokens(formatted), where):
        for line in range(new.line, new.line + new.text.count("\n") + 1):
            whose.setdefault(line, set()).add(old is None or bool(ours[old.start]))
    written = [line for line, found in whose.items() if found == {True}]
    return sorted(written), sorted(line for line, found in whose.items() if found == {True, False})


def _aligned(before: list[Token], after: list[Token], where: str) -> Iterator[tuple[Token | None, Token]]:
    """Each token after formatting with itself before; None for a comment that clang-format put in (`// namespace`)."""
    at = 0
    for token in after:
        while token.kind != "comment" and at < len(before) and before[at].kind == "comment":
            at += 1  # a `// namespace` that it put right
        same = at < len(before) and before[at].kind == token.kind
        if same and (token.kind != "comment" or before[at].text.split() == token.text.split()):
            yield before[at], token
            at += 1
        elif token.kind == "comment":
            yield None, token
        else:
            raise EmitError("formatting did more than move white space", where=where)


def _ours(upstream: str, edits: Iterable[Edit]) -> bytearray:
    """For each character of the port, 1 where an edit wrote it."""
    out, at = bytearray(), 0
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        out += bytes(edit.start - at) + b"\1" * len(edit.replacement)
        at = edit.end
    return out + bytes(len(upstream) - at)


def _tokens(text: str) -> list[Token]:
    return [token for token in tokenize(text) if token.kind not in ("space", "newline", "splice")]


def ranges(lines: Iterable[int]) -> str:
    """`1-3, 7` of 1, 2, 3, 7."""
    out: list[list[int]] = []
    for line in sorted(set(lines)):
        if out and line == out[-1][1] + 1:
            out[-1][1] = line
        else:
            out.append([line, line])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in out)
