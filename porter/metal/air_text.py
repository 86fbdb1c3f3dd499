# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The text of Apple's bitcode as IR for this machine: what is the same for every kernel.

What is kept and what is not decides which results the optimiser may change, so it is one list:

- address spaces go: everything is in address space 0;
- fast-math flags go (the libraries seen so far have none), and `llvm.fmuladd`, which may fuse, is a product and a sum:
  as in the source loader nothing is fused, reassociated or approximated;
- of function attributes `convergent` stays, and nothing throws. What else Apple's compiler found out (`memory(none)`,
  `nosync`, ...) it found out about operations that are now functions of ours;
- metadata goes but for `llvm.loop`, which asks for unrolling. Types (`tbaa`) and arguments (`noalias`) may alias here:
  MLX gives one buffer to two arguments;
- arithmetic on bfloat is done by the shim's (msl/metal_types): processors' own instructions flush and LLVM's need a
  library.
"""

from __future__ import annotations

import re

from porter.errors import MetalError
from porter.metal.air_operations import DENORMALS
from porter.metal.ir_text import NAME

TARGET = (
    'target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128"\n'
    'target triple = "x86_64-unknown-linux-gnu"\n'
)
"""How a unit begins: as clang writes it for x86_64-linux-gnu."""


_GROUP = re.compile(r"^attributes #(\d+) = \{(.*)\}$", re.M)
_NODE = re.compile(r"^!(\d+) = (?:distinct )?!\{.*\}$", re.M)
_ATTACHMENT = re.compile(r", !(?!llvm\.loop )[A-Za-z][\w.]* !\d+")
_FLAGS = re.compile(
    r"(= (?:(?:tail |musttail |notail )?call|f(?:add|sub|mul|div|rem|neg|cmp|pext|ptrunc)|phi|select))"
    r"((?: (?:fast|nnan|ninf|nsz|arcp|contract|afn|reassoc))+)(?= )"
)
_FUSED = re.compile(
    r"^  (%\S+) = (?:tail |notail )?call (?:noundef )?(\S+|<[^>]*>) @llvm\.fmuladd\.\w+\((.*)\)(?: #\d+)?$", re.M
)
_BFLOAT = re.compile(r"^  (%\S+) = (fadd|fsub|fmul|fdiv) bfloat (\S+), (\S+)$", re.M)
_TO_BFLOAT = re.compile(r"^  (%\S+) = fptrunc float (\S+) to bfloat$", re.M)
_UNKNOWN_BFLOAT = re.compile(
    r"^  .*= (?:(?:fadd|fsub|fmul|fdiv|frem) (?:bfloat|<\d+ x bfloat>)|fptrunc .* to (?:bfloat|<\d+ x bfloat>)$).*$",
    re.M,
)
_NEW_TO_BFLOAT = "air.convert.f.bf16.f.f32"


def plain(text: str) -> str:
    """`text` (LLVM's, of one of Apple's modules) as said above, without TARGET. Functions and globals keep their names.

    Raises MetalError for arithmetic that it does not know.
    """
    body, attributes, metadata = _parts(text)
    body = _address_spaces(body)
    body = _ATTACHMENT.sub("", body)
    body = _FLAGS.sub(r"\1", body)
    body = re.sub(
        r"^source_filename.*\n|^target .*\n|^; .*\n|, section \"[^\"]*\"| section \"[^\"]*\"", "", body, flags=re.M
    )
    body = _FUSED.sub(_unfused, body)
    body = _bfloat(body)
    return body + _attributes(attributes) + _loops(body, metadata)


def _parts(text: str) -> tuple[str, str, str]:
    """(functions and globals, attribute groups, metadata), in which order LLVM writes them."""
    groups = text.find("\nattributes #")
    nodes = text.find("\n!")
    end = min(position for position in (groups, nodes, len(text)) if position >= 0)
    if groups < 0:
        return text[:end] + "\n", "", text[end:]
    return text[: groups + 1], text[groups : nodes if nodes >= 0 else len(text)], text[nodes:] if nodes >= 0 else ""


def _address_spaces(body: str) -> str:
    body = re.sub(r" addrspace\(\d+\)", "", body)
    if "addrspacecast" in body:
        body = re.sub(rf"addrspacecast \(ptr (@{NAME}) to ptr\)", r"\1", body)
        body = body.replace("= addrspacecast ptr ", "= bitcast ptr ")
        if "addrspacecast" in body:
            raise MetalError("an address space is cast in a way that is not known", next_step="report this as a bug")
    # Copies name the address spaces of what they copy.
    return re.sub(
        r"(@llvm\.(?:memcpy|memmove|memset)(?:\.inline)?)((?:\.p\d)+)", lambda f: f[1] + ".p0" * f[2].count("p"), body
    )


def _attributes(groups: str) -> str:
    """The groups that calls refer to; a definition gets its own (`function_head`)."""
    lines = []
    for number, words in _GROUP.findall(groups):
        convergent = "convergent " if re.search(r'(?<!["\w-])convergent(?!["\w-])', words) else ""
        lines.append(f"attributes #{number} = {{ {convergent}nounwind }}\n")
    return "".join(lines)


def _loops(body: str, metadata: str) -> str:
    """The nodes that loops refer to."""
    nodes = {found[1]: found.group() for found in _NODE.finditer(metadata)}
    kept: dict[str, str] = {}
    todo = re.findall(r"!llvm\.loop !(\d+)", body)
    while todo:
        number = todo.pop()
        if number not in kept and number in nodes:
            kept[number] = nodes[number] + "\n"
            todo += re.findall(r"!(\d+)", nodes[number])
    return "".join(kept.values())


def _unfused(found: re.Match[str]) -> str:
    from porter.metal.ir_text import leading_type, split

    type_ = leading_type(found[2])
    a, b, c = (part[len(type_) :].strip() for part in split(found[3]))
    product = f"%product.{found[1].strip('%')}" if '"' not in found[1] else f'%"product.{found[1][2:]}'
    return f"  {product} = fmul {type_} {a}, {b}\n  {found[1]} = fadd {type_} {product}, {c}"


def _bfloat(body: str) -> str:
    if "bfloat" not in body:
        return body
    body = _BFLOAT.sub(r"  \1 = call bfloat @msl.\2.bf16(bfloat \3, bfloat \4)", body)
    body = _TO_BFLOAT.sub(rf"  \1 = call bfloat @{_NEW_TO_BFLOAT}(float \2)", body)
    if unknown := _UNKNOWN_BFLOAT.search(body):
        raise MetalError(f"arithmetic on bfloat that is not known: {unknown.group().strip()}", next_step="report this")
    return body


def bfloat_declarations(body: str) -> list[str]:
    """Declarations of the operations that `plain` put in place of instructions."""
    lines = [f"declare bfloat @msl.{name}.bf16(bfloat, bfloat)" for name in ("fadd", "fsub", "fmul", "fdiv")]
    lines.append(f"declare bfloat @{_NEW_TO_BFLOAT}(float)")
    return [line for line in lines if line[line.index("@") : line.index("(") + 1] in body]


def own_attributes(body: str) -> str:
    """`body` with every function it defines inlined into the entry: a call then stands for one place in the kernel,
    which is what lanes meet at."""
    return re.sub(
        r"^(define .*\))(?: local_unnamed_addr| unnamed_addr)?(?: #\d+)?(?: align \d+)?(?: comdat)? \{$",
        rf"\1 alwaysinline convergent nounwind {DENORMALS} {{",
        body,
        flags=re.M,
    )
