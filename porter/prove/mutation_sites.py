# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Where each mutation operator can change a file. The operators themselves are porter/prove/mutation_operators.py."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

from porter.parse.lexer import Token
from porter.prove.mutation_text import Change, Text

Changes = Iterator[Change]
Sites = Callable[[Text], Changes]


def _exchange(text: Text, first: Token, second: Token) -> Change:
    """Two tokens exchanged, as one change of all that stands from the first to the second."""
    between = text.text[first.end : second.start]
    return Change(first.start, second.end, f"{second.text}{between}{first.text}")


def replacing(words: dict[str, str], spaced: bool = False) -> Sites:
    """Each of `words` in a body becomes another; `spaced`: where it is a binary operator."""

    def sites(text: Text) -> Changes:
        for _, token in text.inside():
            if token.text in words and (not spaced or text.spaced(token)):
                yield Change(token.start, token.end, words[token.text])

    return sites


_OPERAND = re.compile(r"[A-Za-z_]\w*|[0-9][\w.]*")
_NO_OPERAND = frozenset(("return", "case", "const", "else", "typename", "template"))


def operands_swapped(text: Text) -> Changes:
    """`a - b` becomes `b - a`, where both are one word and the operator binds them alone."""
    for number, token in text.inside():
        if token.text not in ("-", "/", "%", "<<", ">>") or not text.spaced(token):
            continue
        before, left, right, after = (text.code[number + n] for n in (-2, -1, 1, 2))
        words = _OPERAND.fullmatch(left.text) and _OPERAND.fullmatch(right.text)
        if words and left.text != right.text and before.text in "(,=[<" and after.text in "),;]<":
            yield _exchange(text, left, right)


def arguments_swapped(text: Text) -> Changes:
    """Two arguments of a call that are one word each."""
    for number, token in text.inside():
        called = text.code[number - 1]
        if token.text != "(" or called.kind != "identifier" or called.text in ("if", "for", "while", "switch"):
            continue
        first, comma, second, after = (text.code[number + n] for n in (1, 2, 3, 4))
        words = _OPERAND.fullmatch(first.text) and _OPERAND.fullmatch(second.text)
        if words and comma.text == "," and after.text in ",)" and first.text != second.text:
            yield _exchange(text, first, second)


def parameter_for_parameter(text: Text) -> Changes:
    """One use of a parameter becomes the use of another of the same type."""
    for body in text.bodies:
        kinds: dict[tuple[str, ...], list[str]] = {}
        for parameter in body.parameters:
            kinds.setdefault(tuple(token.text for token in parameter.type), []).append(parameter.name.text)
        other = {
            name: names[(place + 1) % len(names)]
            for names in kinds.values()
            if len(names) > 1
            for place, name in enumerate(names)
        }
        for number in range(body.first + 1, body.last):
            token = text.code[number]
            if token.text in other and text.code[number - 1].text not in (".", "->", "::"):
                yield Change(token.start, token.end, other[token.text])


def integers(text: Text) -> Changes:
    for _, token in text.inside():
        if re.fullmatch(r"\d+", token.text):
            yield Change(token.start, token.end, str(int(token.text) + 1))


def floats(text: Text) -> Changes:
    for _, token in text.inside():
        found = re.fullmatch(r"(\d+)(\.\d*(?:[eE][-+]?\d+)?f?)", token.text)
        if found:
            yield Change(token.start, token.end, f"{int(found[1]) + 1}{found[2]}")


_NO_STATEMENT = frozenset(
    ("return", "if", "for", "while", "do", "else", "switch", "case", "break", "continue", "using", "const", "typename")
)


def _statements(text: Text, number: int) -> tuple[int, Token] | None:
    """The `;` of the statement that begins at token `number`, if it is an assignment or a call, and no declaration."""
    if text.code[number - 1].text not in (";", "{", "}") or text.code[number].kind != "identifier":
        return None
    if text.code[number].text in _NO_STATEMENT or text.code[number + 1].kind == "identifier":
        return None
    at = number
    seen = False
    while text.code[at].text not in (";", "{", "}"):
        word = text.code[at].text
        seen |= word in ("=", "+=", "-=", "*=", "/=", "(", "++", "--") and at > number
        if word == "=" and text.code[at - 1].kind == "identifier" and at - number > 1:
            before = text.code[at - 2].text
            if text.code[at - 2].kind == "identifier" or before in (">", "*", "&"):
                return None  # a declaration
        at = text.closing.get(at, at) + 1
    return (at, text.code[at]) if seen and text.code[at].text == ";" else None


def dropped_statements(text: Text) -> Changes:
    for number, token in text.inside():
        found = _statements(text, number)
        if found is not None and "barrier" not in token.text:
            yield Change(token.start, found[1].end, ";")


def dropped_barriers(text: Text) -> Changes:
    for number, token in text.inside():
        if token.text.endswith("group_barrier") and text.code[number + 1].text == "(":
            yield Change(token.start, text.code[text.closing[number + 1]].end, "(void)0")


def negated(text: Text) -> Changes:
    for number, token in text.inside():
        if token.text == "if" and text.code[number + 1].text == "(":
            opening, closing = text.code[number + 1], text.code[text.closing[number + 1]]
            yield Change(opening.start, closing.end, f"(!({text.text[opening.end : closing.start]}))")


def arms_swapped(text: Text) -> Changes:
    """`c ? a : b` becomes `c ? b : a`, where both are one word."""
    for number, token in text.inside():
        if token.text == "?":
            first, colon, second, after = (text.code[number + n] for n in (1, 2, 3, 4))
            words = _OPERAND.fullmatch(first.text) and _OPERAND.fullmatch(second.text)
            if words and colon.text == ":" and after.text in ");,":
                yield _exchange(text, first, second)


LANES = {
    "simd_shuffle_down": "simd_shuffle_up",
    "simd_shuffle_up": "simd_shuffle_down",
    "simd_shuffle_xor": "simd_shuffle_down",
    "simd_shuffle": "simd_shuffle_xor",
    "simd_shuffle_and_fill_up": "simd_shuffle_and_fill_down",
    "simd_sum": "simd_max",
    "simd_max": "simd_min",
    "simd_min": "simd_max",
    "simd_product": "simd_sum",
    "quad_sum": "quad_max",
}

# ---------------------------------------------------------------------------------------------------------------------
# What IR is blind to


def _buffers(text: Text) -> Iterator[list[Token]]:
    """The slots of each kernel's buffers: the numbers in [[buffer(n)]]."""
    for body in text.bodies:
        slots = []
        for parameter in body.parameters:
            words = [token.text for token in parameter.attribute]
            if "buffer" in words:
                number = parameter.attribute[words.index("buffer") + 2]
                if number.text.isdecimal():
                    slots.append(number)
        yield slots


def swapped_slots(text: Text) -> Changes:
    for slots in _buffers(text):
        for first, second in itertools.pairwise(slots):
            yield _exchange(text, first, second)


def moved_slots(text: Text) -> Changes:
    for slots in _buffers(text):
        for slot in slots:
            yield Change(slot.start, slot.end, "30")


def gated(text: Text) -> Changes:
    for slots in _buffers(text):
        for slot in slots:
            close = text.text.index(")", slot.end)
            yield Change(close, close + 1, "), function_constant(gate)")


def limits(change: Callable[[str], str]) -> Sites:
    def sites(text: Text) -> Changes:
        for found in re.finditer(r"\[\[kernel, max_total_threads_per_threadgroup\(([^()]*)\)\]\]", text.text):
            yield Change(found.start(), found.end(), change(found[1]))

    return sites


def positions(text: Text) -> Changes:
    other = {
        "thread_position_in_grid": "thread_position_in_threadgroup",
        "thread_position_in_threadgroup": "thread_position_in_grid",
        "threadgroup_position_in_grid": "threadgroups_per_grid",
        "threads_per_grid": "threads_per_threadgroup",
        "threads_per_threadgroup": "threads_per_grid",
        "simdgroup_index_in_threadgroup": "thread_index_in_simdgroup",
        "thread_index_in_simdgroup": "simdgroup_index_in_threadgroup",
    }
    for found in re.finditer(rf"\[\[({'|'.join(other)})\]\]", text.text):
        yield Change(found.start(1), found.end(1), other[found[1]])


def dropped_pragmas(text: Text) -> Changes:
    for found in re.finditer(r"^[ \t]*#pragma (?:clang loop )?unroll[^\n]*\n", text.text, re.M):
        yield Change(found.start(), found.end(), "")


def added_pragmas(text: Text) -> Changes:
    for found in re.finditer(r"(?<![)\n]\n)^[ \t]*for \(", text.text, re.M):
        line = text.text[: found.start()].rstrip("\n").rpartition("\n")[2]
        if "#pragma" not in line:
            yield Change(found.start(), found.start(), "#pragma clang loop unroll(full)\n")


def spaces(words: dict[str, str]) -> Sites:
    """Each address space of an argument, a field or a local pointer becomes another."""

    def sites(text: Text) -> Changes:
        for number, token in enumerate(text.code[:-1]):
            attribute = text.code[number + 1].text == "("  # [[threadgroup(0)]]
            if token.text in words and not attribute:
                yield Change(token.start, token.end, words[token.text])

    return sites


def dropped_const(text: Text) -> Changes:
    for number, token in enumerate(text.code[:-1]):
        if token.text == "const" and text.code[number + 1].text in ("device", "constant", "threadgroup"):
            yield Change(token.start, text.code[number + 1].start, "")


# ---------------------------------------------------------------------------------------------------------------------
# Params structs


def _fields(text: Text) -> Iterator[list[tuple[Token, Token]]]:
    """(type, name) of the fields of every struct whose fields are all plain: one word, a name, `;` or an array."""
    for number, token in enumerate(text.code[:-3]):
        if token.text != "struct" or text.code[number + 2].text != "{" or number + 2 not in text.closing:
            continue
        fields: list[tuple[Token, Token]] = []
        at, end = number + 3, text.closing[number + 2]
        while at < end:
            kept = [text.code[at]] if text.code[at].text != "const" else [text.code[at + 1]]
            at += 1 if text.code[at].text != "const" else 2
            name = text.code[at]
            stop = next((n for n in range(at, end) if text.code[n].text == ";"), end)
            plain = kept[0].kind == "identifier" and name.kind == "identifier"
            if not plain or any(text.code[n].text in "(){}<" for n in range(at, stop)):
                fields = []
                break
            fields.append((kept[0], name))
            at = stop + 1
        if len(fields) > 1:
            yield fields


def field_order(text: Text) -> Changes:
    for fields in _fields(text):
        for (_, first), (_, second) in itertools.pairwise(fields):
            yield _exchange(text, first, second)


_FIELD_TYPES = {
    "int32_t": "int64_t", "int": "int64_t", "int64_t": "int32_t", "size_t": "int32_t", "uint32_t": "int32_t",
    "float": "int32_t", "bool": "int32_t", "short": "int32_t",
}  # fmt: skip


def field_types(text: Text) -> Changes:
    for fields in _fields(text):
        for type_, _ in fields:
            if type_.text in _FIELD_TYPES:
                yield Change(type_.start, type_.end, _FIELD_TYPES[type_.text])


def dropped_fields(text: Text) -> Changes:
    for fields in _fields(text):
        for type_, name in fields:
            yield Change(type_.start, text.text.index(";", name.end) + 1, "")


def field_names(text: Text) -> Changes:
    for fields in _fields(text):
        for _, name in fields:
            yield Change(name.start, name.end, f"{name.text}_")


# ---------------------------------------------------------------------------------------------------------------------
# The table of instantiations

_ROW = re.compile(r'^INSTANTIATE_\w+\("([^"]+)", ([^\n]*)\)$', re.M)


def row_values(text: Text) -> Changes:
    for row in _ROW.finditer(text.text):
        for value in re.finditer(r"\b(?:\d+|true|false)\b", row[2]):
            other = {"true": "false", "false": "true"}.get(value[0]) or str(int(value[0]) * 2 or 1)
            yield Change(row.start(2) + value.start(), row.start(2) + value.end(), other)


def row_types(text: Text) -> Changes:
    other = {"half": "float", "float": "half", "bfloat": "half", "int32_t": "int64_t", "uint8_t": "int8_t"}
    for row in _ROW.finditer(text.text):
        for value in re.finditer(rf"\b(?:{'|'.join(other)})\b", row[2]):
            yield Change(row.start(2) + value.start(), row.start(2) + value.end(), other[value[0]])


def swapped_rows(text: Text) -> Changes:
    rows = list(_ROW.finditer(text.text))
    for first, second in itertools.pairwise(rows):
        if first[2] != second[2]:
            between = text.text[first.end(1) : second.start(1)]
            yield Change(first.start(1), second.end(1), f"{second[1]}{between}{first[1]}")


def dropped_rows(text: Text) -> Changes:
    for row in _ROW.finditer(text.text):
        yield Change(row.start(), row.end() + 1, "")


def renamed_rows(text: Text) -> Changes:
    for row in _ROW.finditer(text.text):
        yield Change(row.end(1), row.end(1), "_")


def combination_values(text: Text) -> Changes:
    for line in re.finditer(r"^[ \t]+INSTANTIATE_\w+\(host \"[^\n]*__VA_ARGS__,([^\n]*)\)", text.text, re.M):
        for value in re.finditer(r"\btrue\b|\bfalse\b", line[1]):
            at = line.start(1)
            yield Change(at + value.start(), at + value.end(), {"true": "false", "false": "true"}[value[0]])


def fixed_macros(text: Text) -> Changes:
    for found in re.finditer(r"= (STEEL_PORT_\w+);", text.text):
        yield Change(found.start(1), found.end(1), "1")
