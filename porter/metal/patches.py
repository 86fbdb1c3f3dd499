# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What of the Metal language no macro of the shim can express, patched in a copy of the text.

Every patch keeps the length (in characters and in bytes), so that offsets and lines in the patched text are those of
the original. Patches look at syntax only, never at a file's name or at the names a library chose, so that they work on
upstream's text, on the port of it and on anybody's kernels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Edits = Iterator[tuple[int, int, str]]


@dataclass(frozen=True)
class Patch:
    """One rewrite. `edits(text, shadow)` yields (start, end, replacement) of one length; `shadow` is `text` with
    comments and string literals blanked, so that a pattern cannot match inside one."""

    name: str
    reason: str
    edits: Callable[[str, str], Edits]
    example_before: str
    example_after: str


@dataclass(frozen=True)
class AppliedPatch:
    """One place where a patch was applied: its line, and how many characters it changed."""

    name: str
    line: int
    changed: int


def patch(text: str) -> tuple[str, tuple[AppliedPatch, ...]]:
    """`text` with every patch applied, and where each was. The result has the length of `text`."""
    applied = []
    for rule in PATCHES:
        pieces, position = [], 0
        for start, end, replacement in rule.edits(text, _shadow(text)):
            if len(replacement) != end - start:
                raise AssertionError(f"patch {rule.name} changes a length: {text[start:end]!r} -> {replacement!r}")
            changed = sum(old != new for old, new in zip(text[start:end], replacement, strict=True))
            applied.append(AppliedPatch(rule.name, text.count("\n", 0, start) + 1, changed))
            pieces += [text[position:start], replacement]
            position = end
        text = "".join([*pieces, text[position:]])
    return text, tuple(sorted(applied, key=lambda one: (one.line, one.name)))


_NOT_CODE = re.compile(r'//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/|"(?:[^"\\\n]|\\.|\\\n)*"', re.S)


def _blank(text: str) -> str:
    """Spaces of the same length in characters and bytes, line breaks and line continuations kept."""
    return re.sub(r"[^\n\\]|\\(?!\n)", lambda one: " " if one.group().isascii() else one.group(), text)


def _shadow(text: str) -> str:
    """`text` with comments and string literals blanked; a string keeps its quotes."""

    def blanked(found: re.Match[str]) -> str:
        inside = found.group()
        body = re.sub(r"[^\n]", " ", inside[1:-1])
        return f'"{body}"' if inside[0] == '"' else re.sub(r"[^\n]", " ", inside)

    return _NOT_CODE.sub(blanked, text)


# A space, a line break, or a line break inside a macro.
_GAP = r"(?:\s|\\\n)*"


# ---------------------------------------------------------------------------------------------------------------------
# Single words


def _threadgroup_arguments(text: str, shadow: str) -> Edits:
    for found in re.finditer(rf"\[\[{_GAP}(threadgroup)(?={_GAP}\()", shadow):
        yield found.start(1), found.end(1), "tgp_argumen"


def _kernel_keyword(text: str, shadow: str) -> Edits:
    for found in re.finditer(r"\bkernel(?=(?:\s|\\\n)+(?:void\b|\[\[))", shadow):
        yield found.start(), found.end(), "MSLKER"


# What an argument of a kernel may be besides a buffer (specification, section 5.2.3.6). `entries` makes each.
ATTRIBUTES = (
    "dispatch_quadgroups_per_threadgroup",
    "dispatch_simdgroups_per_threadgroup",
    "dispatch_threads_per_threadgroup",
    "grid_origin",
    "grid_size",
    "quadgroup_index_in_threadgroup",
    "quadgroups_per_threadgroup",
    "simdgroup_index_in_threadgroup",
    "simdgroups_per_threadgroup",
    "thread_execution_width",
    "thread_index_in_quadgroup",
    "thread_index_in_simdgroup",
    "thread_index_in_threadgroup",
    "thread_position_in_grid",
    "thread_position_in_threadgroup",
    "threadgroup_position_in_grid",
    "threadgroups_per_grid",
    "threads_per_grid",
    "threads_per_simdgroup",
    "threads_per_threadgroup",
)


def _attribute_names(text: str, shadow: str) -> Edits:
    # The macros of msl_keywords begin with a capital, so that they rewrite nothing else.
    for found in re.finditer(rf"\[\[{_GAP}({'|'.join(ATTRIBUTES)}){_GAP}\]\]", shadow):
        yield found.start(1), found.end(1), found.group(1).capitalize()


def _spaces_before_noexcept(text: str, shadow: str) -> Edits:
    for found in re.finditer(r"\b(thread|device|threadgroup)((?:\s|\\\n)+)noexcept\b", shadow):
        yield found.start(), found.end(), f"noexcept{found.group(2)}{found.group(1)}"


def _function_constants(text: str, shadow: str) -> Edits:
    # The first word is `constant`, or a macro that a library writes for it.
    words = r"(?:\s+(?:const|static|[\w:]+(?:<[^;<>]*>)?))+?"
    first = r"(?:^|[;{}])[ \t]*(constant|[A-Z][A-Z0-9_]{7,})"
    declaration = rf"{first}(?={words}\s*\[\[\s*function_constant\s*\([^;]*\]\]\s*;)"
    for found in re.finditer(declaration, shadow, re.M):
        yield found.start(1), found.end(1), "MSL_CON_".ljust(len(found.group(1)))


def _threadgroup_variables(text: str, shadow: str) -> Edits:
    # A declaration in a function's body: no pointer, no reference, no parameter list before the name.
    declaration = (
        rf"(?:^|[;{{}}:)\n]){_GAP}(?:alignas{_GAP}\([^()]*\){_GAP})?(threadgroup)"
        rf"(?=(?:\s|\\\n)+(?:(?:typename|volatile|const)\s+)*[\w:]+{_GAP}(?:<[^;{{}}*&]*>)?(?:::\w+)*(?:\s|\\\n)+"
        rf"\w+{_GAP}(?:\[[^\];]*\]{_GAP})*(?:=[^;]*|,[^;*&]*)?;)"
    )
    for found in re.finditer(declaration, shadow):
        yield found.start(1), found.end(1), "MSL_TGVAR__"


# ---------------------------------------------------------------------------------------------------------------------
# Explicit instantiations


def _host_names(text: str, shadow: str) -> Edits:
    head = rf"\btemplate{_GAP}(\[\[{_GAP}host_name{_GAP}\()"
    for found in re.finditer(head, shadow):
        close = _closing(shadow, found.end(1) - 1)
        tail = re.compile(rf"\){_GAP}\]\](?:{_GAP}(?:\[\[{_GAP}kernel{_GAP}\]\]|kernel\b|MSLKER\b))?").match(
            shadow, close
        )
        if tail is None:
            continue
        start, end = found.start(1), tail.end()
        # `template[[host_name(` is two words, and one with what replaces the brackets.
        word = " MSL_IHOST" if shadow[start - 1].isalnum() else "MSL_IHOST"
        opening = word.ljust(found.end(1) - 1 - start)
        yield start, end, opening + "(" + text[found.end(1) : close] + ")" + _blank(text[close + 1 : end])


def _closing(shadow: str, opening: int) -> int:
    """Where the bracket at `opening` closes; the end of the text if it does not."""
    depth = 0
    for position in range(opening, len(shadow)):
        if shadow[position] in "([{":
            depth += 1
        elif shadow[position] in ")]}":
            depth -= 1
            if depth == 0:
                return position
    return len(shadow)


# ---------------------------------------------------------------------------------------------------------------------
# Declarations that are one once address spaces are gone

_SPACE_WORD = re.compile(r"\b(?:thread|threadgroup|device|constant)\b")
_TRAILING_SPACE = re.compile(r"(\)\s*(?:const\s*)?(?:noexcept\s*)?)\b(?:thread|threadgroup|device|constant)\b\s*$")


def _twins(text: str, shadow: str) -> Edits:
    """Blank every definition that repeats an earlier one of its scope when address spaces are not looked at."""
    yield from _twins_between(text, _without_directives(shadow), 0, len(shadow))


def _twins_between(text: str, code: str, start: int, end: int) -> Edits:
    seen: set[str] = set()
    position = start
    while position < end:
        stop = _end_of_declaration(code, position, end)
        body = _body(code, position, stop)
        if body is not None:
            head = _head(code[position:body])
            if re.search(r"\b(?:namespace|extern)\b", code[position:body]):
                yield from _twins_between(text, code, body + 1, stop - 1)
            elif head in seen and (_SPACE_WORD.search(code[position:body])):
                first = position + len(code[position:stop]) - len(code[position:stop].lstrip())
                yield first, stop, _blank(text[first:stop])
            else:
                seen.add(head)
                if re.search(r"\b(?:struct|class)\b[^()]*$", code[position:body]):
                    yield from _twins_between(text, code, body + 1, _closing(code, body))
        position = stop


def _without_directives(shadow: str) -> str:
    return re.sub(
        r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", lambda found: re.sub(r"[^\n]", " ", found.group()), shadow, flags=re.M
    )


def _end_of_declaration(code: str, start: int, end: int) -> int:
    """After the `;` or the body's `}` (and a `;` right behind it) that ends the declaration at `start`."""
    position = start
    while position < end:
        character = code[position]
        if character in "([":
            position = _closing(code, position)
        elif character == "{":
            close = _closing(code, position)
            after = re.compile(r"\s*;").match(code, close + 1)
            if after:
                return min(after.end(), end)
            follows = re.compile(r"\s*[,{]").match(code, close + 1)
            if follows is None:  # not a braced initialiser in a constructor's list
                return min(close + 1, end)
            position = close
        elif character == ";":
            return position + 1
        elif code.startswith(("public:", "private:", "protected:"), position):
            return code.index(":", position) + 1
        position += 1
    return end


def _body(code: str, start: int, stop: int) -> int | None:
    """Where the body of the definition in [start, stop) opens; None for a declaration without one."""
    position = start
    while position < stop:
        if code[position] in "([":
            position = _closing(code, position)
        elif code[position] == "{":
            return position
        elif code[position] == "=" and _initialises(code[start:position]):
            return None
        position += 1
    return None


def _initialises(before: str) -> bool:
    """Whether a `=` behind `before` gives a value: it is neither an operator's name nor a template's default."""
    return "template" not in before and not re.search(r"operator\s*[-+*/%<>=!&|^]*$", before)


def _head(declaration: str) -> str:
    """A definition's text before its body, without address spaces, a constructor's initialisers and spacing."""
    head = " ".join(declaration[: _initialisers(declaration)].split())
    head = _TRAILING_SPACE.sub(r"\1", head)
    head = _SPACE_WORD.sub(lambda word: "const" if word.group() == "constant" else "", head)
    return re.sub(r"\s+", "", re.sub(r"\bconst\s+const\b", "const", " ".join(head.split())))


def _initialisers(declaration: str) -> int:
    """Where the `:` of a constructor's initialisers stands; the end where there is none."""
    depth = 0
    for position, character in enumerate(declaration):
        depth += (character in "([") - (character in ")]")
        alone = character == ":" and declaration[position - 1 : position + 2].count(":") == 1
        if alone and depth == 0 and ")" in declaration[:position]:
            return position
    return len(declaration)


PATCHES: tuple[Patch, ...] = (
    Patch(
        name="threadgroup argument",
        reason="`threadgroup` is a macro for the address space and cannot be an attribute's name too",
        edits=_threadgroup_arguments,
        example_before="void f(threadgroup float* tile [[threadgroup(0)]]);",
        example_after="void f(threadgroup float* tile [[tgp_argumen(0)]]);",
    ),
    Patch(
        name="attribute name",
        reason="an argument often has its attribute's own name, which a macro for the attribute would rewrite too",
        edits=_attribute_names,
        example_before="void f(uint threads_per_grid [[threads_per_grid]]);",
        example_after="void f(uint threads_per_grid [[Threads_per_grid]]);",
    ),
    Patch(
        name="host name",
        reason="C++ allows no [[attribute]] on an explicit instantiation",
        edits=_host_names,
        example_before='template [[host_name("sum_f32")]] [[kernel]] decltype(sum<float>) sum<float>;',
        example_after='template MSL_IHOST  ("sum_f32")              decltype(sum<float>) sum<float>;',
    ),
    Patch(
        name="kernel keyword",
        reason="`kernel` is an attribute in [[kernel]] and a specifier elsewhere; one macro cannot be both",
        edits=_kernel_keyword,
        example_before="kernel void fill(device float* out [[buffer(0)]]) {}",
        example_after="MSLKER void fill(device float* out [[buffer(0)]]) {}",
    ),
    Patch(
        name="function constant",
        reason="a function constant has no initialiser, which C++ requires of a constant that is not extern",
        edits=_function_constants,
        example_before="constant bool transposed [[function_constant(7)]];",
        example_after="MSL_CON_ bool transposed [[function_constant(7)]];",
    ),
    Patch(
        name="threadgroup variable",
        reason="a variable of a function that all threads of a threadgroup share is not an automatic variable",
        edits=_threadgroup_variables,
        example_before="void f() { threadgroup float tile[64]; }",
        example_after="void f() { MSL_TGVAR__ float tile[64]; }",
    ),
    Patch(
        name="address space before noexcept",
        reason="a member function's address space is an attribute here, and C++ takes attributes after noexcept",
        edits=_spaces_before_noexcept,
        example_before="struct S { operator int() const thread noexcept { return 1; } };",
        example_after="struct S { operator int() const noexcept thread { return 1; } };",
    ),
    Patch(
        name="address space twin",
        reason="without address spaces an overload or specialisation that differs in nothing else is a redefinition",
        edits=_twins,
        example_before=(
            "struct S { float x; operator float() const thread { return x; } "
            "operator float() const device { return x; } };"
        ),
        example_after=(
            "struct S { float x; operator float() const thread { return x; } "
            "                                            };"
        ),
    ),
)
