# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Corpus -> Port: the same code, rewritten, with every edit's rule and place kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from porter.errors import PortError
from porter.model import Corpus, Edit, Macro, Port, PortedFile, Sources
from porter.port.context import Context
from porter.port.rules import RULES
from porter.port.target import Target
from porter.spec import Constant, Family


def port(corpus: Corpus, sources: Sources, families: tuple[Family, ...], target: Target) -> Port:
    """Rewrite every header in the include closure of `families`, and the bodies that stand in `.metal` files.

    A family whose bodies did not come with the sources is left out. Raises PortError (file:line) where a rule meets
    something it does not know, and where two rules claim one token.
    """
    bodies = {path for family in families if family.body_in_table for path in family.sources_of_kernels}
    paths = [path for path in corpus.files if path.endswith(".h") or path in bodies]
    macros = _expandable(corpus, target)
    contexts = [_context(path, corpus, sources, families, target, macros) for path in paths]
    names = {c.path: target.header(c.path) if _has_content(c) else None for c in contexts}
    _check_distinct(names)
    files = []
    for nameless in contexts:
        if (name := names[nameless.path]) is not None:
            context = nameless.among(names)
            edits = make_edits(context)
            text = apply_edits(context, edits)
            files.append(PortedFile(context.path, f"{target.source_root}/{name}", text, edits, context.notice))
    return Port(corpus, tuple(files))


def make_edits(context: Context) -> tuple[Edit, ...]:
    """All rules' edits of one file, by position; insertions at one place keep the order of the rules."""
    removed = [edit for rule in RULES if rule.removes for edit in rule.edits(context)]
    rewritten = (edit for rule in RULES if not rule.removes for edit in rule.edits(context))
    return in_order([*(e for e in rewritten if not any(_covers(r, e) for r in removed)), *removed])


def _covers(removal: Edit, edit: Edit) -> bool:
    """Whether `edit` stands inside of `removal`; an insertion at its border does not."""
    inside = removal.start <= edit.start and edit.end <= removal.end
    return inside and (edit.start < edit.end or removal.start < edit.start < removal.end)


def in_order(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    return tuple(sorted(edits, key=lambda edit: (edit.start, edit.end)))


def apply_edits(context: Context, edits: Iterable[Edit]) -> str:
    """The text after `edits`. Raises PortError where two of them overlap or one begins or ends inside a token."""
    boundaries = {0, len(context.text)}
    for token in context.all_tokens:
        boundaries.update((token.start, token.end))
    out, at, last = [], 0, None
    for edit in in_order(edits):
        if last is not None and edit.start < at:
            raise context.fail(f"rules {last.rule} and {edit.rule} both claim this token", edit.start)
        for offset in (edit.start, edit.end):
            inside_space = not context.text[max(offset - 1, 0) : offset + 1].strip() or offset in boundaries
            if not inside_space and not context.text[:offset].endswith("\n"):
                raise context.fail(f"rule {edit.rule} cuts a token", offset)
        out += [context.text[at : edit.start], edit.replacement]
        at, last = edit.end, edit
    return "".join([*out, context.text[at:]])


def _context(
    path: str,
    corpus: Corpus,
    sources: Sources,
    families: tuple[Family, ...],
    target: Target,
    macros: Mapping[str, Macro],
) -> Context:
    owners = [family for family in families if path in family.sources_of_kernels]
    return Context(
        path=path,
        text=sources.files[path].text,
        target=target,
        notice=corpus.notices[path],
        revision=corpus.pin.revision,
        headers={},
        macros=macros,
        constants=_constants(path, owners),
        preamble=tuple(dict.fromkeys(one for owner in owners for one in owner.preamble)),
        holds_params=any(struct.location.file == path for struct in corpus.params),
    )


def _constants(path: str, owners: list[Family]) -> tuple[Constant, ...]:
    """How the constants of one file are lowered. Families may call different constants alike, in different files."""
    out: dict[str, Constant] = {}
    for constant in (constant for owner in owners for constant in owner.constants):
        if out.setdefault(constant.name, constant) != constant:
            raise PortError(
                f"two families lower the function constant {constant.name} differently",
                where=path,
                next_step=f"make them agree: {', '.join(f'specs/{owner.path}' for owner in owners)}",
            )
    return tuple(out.values())


def _expandable(corpus: Corpus, target: Target) -> dict[str, Macro]:
    """The macros to expand, by name. Where upstream defines one twice, the non-empty body is the Metal side's."""
    out: dict[str, Macro] = {}
    for macro in corpus.macros:
        if macro.parameters is not None or not macro.body or not target.expands(macro.name):
            continue
        other = out.setdefault(macro.name, macro)
        if other.body != macro.body:
            raise PortError(
                f"macro {macro.name} has two bodies",
                where=str(macro.location),
                expected=f"the body at {other.location}",
                next_step="leave it out of expand_macros in specs/targets/",
            )
    return out


def _has_content(context: Context) -> bool:
    """Whether anything but `#pragma once` and definitions of expanded macros stands in the file."""
    ours = (*context.macros, *context.target.drop_macros)
    return bool(context.code) or any(
        not (d.name == "pragma" and [t.text for t in d.tokens] == ["once"])
        and not (d.name == "define" and d.tokens and d.tokens[0].text in ours)
        for d in context.directives
    )


def _check_distinct(names: Mapping[str, str | None]) -> None:
    seen: dict[str, str] = {}
    for path, name in names.items():
        if name is not None and seen.setdefault(name, path) != path:
            raise PortError(f"{seen[name]} and {path} would both become {name}", where=path)
