# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Metal source, read by an ordinary clang as C++20.

Three things make that work: the shim headers under `msl/`, which are the Metal standard library and turn the language's
attributes and address spaces into macros; the compiler arguments of `compiler_arguments`; and `patch`
(porter/metal/patches.py) for the few constructs that no macro can express. A patch never changes a length, so that
every offset and line in the patched text is one in the original.

`parse` gives libclang's view of a translation unit, and `declared_kernels` what its kernels declare.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from porter.errors import ParseError
from porter.metal.patches import PATCHES, AppliedPatch, Patch, patch
from porter.metal.toolchain import closed

if TYPE_CHECKING:
    import clang.cindex

__all__ = [
    "DIALECT",
    "PATCHES",
    "RUNTIME",
    "SHIM",
    "VIRTUAL_ROOT",
    "AppliedPatch",
    "KernelArgumentDeclaration",
    "KernelDeclaration",
    "Mode",
    "Patch",
    "TemplateParameterDeclaration",
    "compiler_arguments",
    "declared_kernels",
    "parse",
    "patch",
    "relative_path",
]

SHIM: Path = Path(__file__).parent / "msl"
RUNTIME: Path = Path(__file__).parent / "runtime"

# Files given to `parse` live under this folder, which does not exist: nothing is written, and no machine's path enters
# what libclang reports.
VIRTUAL_ROOT = "/msl"
MAIN_FILE = "main.metal.cpp"

_MAX_REPORTED = 5


class Mode(enum.Enum):
    """What the language's attributes and the GPU's operations become."""

    PARSE = "PARSE"
    """Annotations that libclang shows; operations are declared."""
    PROVE = "PROVE"
    """Nothing: attributes are erased, operations are declared and stay calls. For comparing IR."""
    RUN = "RUN"
    """Attributes are erased, operations call our runtime."""


# Literals are single precision as in Metal. Every half operation rounds to half, and a product and a sum are never
# fused unless the source says fma: both are free in Metal, and are chosen here so that the same source gives the same
# bits whatever the optimiser does. Swizzles are properties (msl_swizzles), which only -fdeclspec knows. A float that an
# integer cannot hold becomes the nearest one it can, and a NaN becomes zero.
DIALECT = (
    "-std=c++20",
    "-Xclang",
    "-cl-single-precision-constant",
    "-fdeclspec",
    "-fno-strict-float-cast-overflow",
    "-ffp-contract=off",
    "-Xclang",
    "-ffloat16-excess-precision=none",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-Wno-everything",
)


def compiler_arguments(mode: Mode) -> tuple[str, ...]:
    """Arguments for any clang >= 18 to read patched Metal source as C++20, without anything of the host's headers."""
    # Before the shim, whose macros would rewrite the names in it.
    abi = ("-isystem", str(RUNTIME), "-include", "kernel_abi.h") if mode is Mode.RUN else ()
    headers = ("-isystem", str(SHIM), f"-DMSL_MODE_{mode.value}=1", *abi, "-include", "metal_stdlib")
    return ("-x", "c++", "-nostdinc", "-nostdinc++", *headers, *DIALECT)


def parse(main_text: str, files: Mapping[str, str], *, skip_bodies: bool = False) -> clang.cindex.TranslationUnit:
    """Parse `main_text`, which may include any of `files` by its path, and return libclang's translation unit.

    `files` maps relative POSIX paths to texts; patches are applied to them and to `main_text`. Locations in the result
    are `/msl/<path>`; `relative_path` takes the prefix off. With `skip_bodies` function bodies are not parsed.
    Raises ParseError that names file:line of the first errors.
    """
    import clang.cindex as cindex

    unsaved = [(f"{VIRTUAL_ROOT}/{path}", patch(text)[0]) for path, text in files.items()]
    main = f"{VIRTUAL_ROOT}/{MAIN_FILE}"
    unsaved.append((main, patch(main_text)[0]))
    options = cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
    if skip_bodies:
        options |= cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES
    arguments = [*closed((SHIM,)), *compiler_arguments(Mode.PARSE), f"-I{VIRTUAL_ROOT}", "-ferror-limit=0"]
    try:
        unit = cindex.Index.create().parse(main, args=arguments, unsaved_files=unsaved, options=options)
    except cindex.TranslationUnitLoadError as error:
        raise ParseError("libclang could not read the source at all", next_step="report this as a bug") from error
    _raise_on_errors(unit)
    return unit


def relative_path(path: str) -> str:
    """The path of a file of `parse` as its caller named it. Raises ValueError for a path that is not one."""
    return PurePosixPath(path).relative_to(VIRTUAL_ROOT).as_posix()


def _raise_on_errors(unit: clang.cindex.TranslationUnit) -> None:
    errors = [diagnostic for diagnostic in unit.diagnostics if diagnostic.severity >= diagnostic.Error]
    if not errors:
        return
    lines = []
    for diagnostic in errors[:_MAX_REPORTED]:
        lines.append(f"{_place(diagnostic.location)}: {diagnostic.spelling}")
    rest = len(errors) - len(lines)
    what = "not valid Metal source: " + errors[0].spelling
    if len(lines) > 1:
        what += "".join(f"\n  {line}" for line in lines[1:])
    if rest > 0:
        what += f"\n  and {rest} more"
    raise ParseError(what, where=_place(errors[0].location))


def _place(location: Any) -> str:
    if location.file is None:
        return f"<command line>:{location.line}"
    name: str = location.file.name
    shown = relative_path(name) if name.startswith(VIRTUAL_ROOT + "/") else Path(name).name
    return f"{shown}:{location.line}"


# ---------------------------------------------------------------------------------------------------------------------
# What the kernels of a translation unit declare


@dataclass(frozen=True)
class TemplateParameterDeclaration:
    """`typename T = float` or `int BM`: `kind` is `typename` or the type of the value."""

    kind: str
    name: str
    default: str | None


@dataclass(frozen=True)
class KernelArgumentDeclaration:
    """One argument as declared.

    `type` is the pointee or value type as written, without address space and const; `is_const` says whether the pointee
    is read-only (always for `constant`). `attribute` is the MSL attribute's name, `slot` the index of a buffer or of
    threadgroup memory, `gate` the function constant that decides whether the argument exists.
    """

    name: str
    type: str
    address_space: str | None
    is_const: bool
    is_reference: bool
    attribute: str | None
    slot: int | None
    gate: str | None
    line: int
    column: int


@dataclass(frozen=True)
class KernelDeclaration:
    """A kernel function or kernel template with a body.

    `start` and `end` are character offsets of the whole declaration (from `template` or its first attribute to the
    closing brace) in the text of `file` as it was given to `parse`. `host_name` is an attribute of the definition
    itself, if it has one.
    """

    name: str
    qualified_name: str
    host_name: str | None
    parameters: tuple[TemplateParameterDeclaration, ...]
    arguments: tuple[KernelArgumentDeclaration, ...]
    thread_limit: str | None
    file: str
    line: int
    column: int
    start: int
    end: int


def declared_kernels(unit: clang.cindex.TranslationUnit) -> tuple[KernelDeclaration, ...]:
    """Every kernel that is defined in a file given to `parse`, in the order libclang meets them.

    In a unit parsed with `skip_bodies` a kernel's `end` is that of its argument list.
    """
    texts = _Texts(unit)
    found = []
    for cursor in _functions(unit.cursor):
        notes = _annotations(cursor)
        if "kernel" in notes and (cursor.is_definition() or texts.following(cursor.extent.end) == "{"):
            found.append(_kernel(cursor, notes, texts))
    return tuple(found)


def _functions(cursor: clang.cindex.Cursor) -> Iterator[clang.cindex.Cursor]:
    """Functions and function templates at namespace scope of the given files (not those of the shim)."""
    for child in cursor.get_children():
        kind = child.kind.name
        if kind in ("NAMESPACE", "LINKAGE_SPEC", "UNEXPOSED_DECL"):
            yield from _functions(child)
        elif kind in ("FUNCTION_DECL", "FUNCTION_TEMPLATE"):
            file = child.location.file
            if file is not None and file.name.startswith(VIRTUAL_ROOT + "/"):
                yield child


def _annotations(cursor: clang.cindex.Cursor) -> list[str]:
    return [child.spelling for child in cursor.get_children() if child.kind.name == "ANNOTATE_ATTR"]


def _kernel(cursor: clang.cindex.Cursor, notes: list[str], texts: _Texts) -> KernelDeclaration:
    path = relative_path(cursor.location.file.name)
    extent = cursor.extent
    return KernelDeclaration(
        name=cursor.spelling,
        qualified_name="::".join([*_enclosing(cursor), cursor.spelling]),
        host_name=_value_of(notes, "host_name="),
        parameters=tuple(_template_parameters(cursor, texts)),
        arguments=tuple(_argument(child) for child in cursor.get_children() if child.kind.name == "PARM_DECL"),
        thread_limit=_inside(notes, "max_total_threads_per_threadgroup"),
        file=path,
        line=cursor.location.line,
        column=cursor.location.column,
        start=texts.before_attributes(extent.start),
        end=texts.characters(extent.end),
    )


def _enclosing(cursor: clang.cindex.Cursor) -> list[str]:
    names: list[str] = []
    parent = cursor.semantic_parent
    while parent is not None and parent.kind.name == "NAMESPACE":
        names.insert(0, parent.spelling)
        parent = parent.semantic_parent
    return names


def _template_parameters(cursor: clang.cindex.Cursor, texts: _Texts) -> Iterator[TemplateParameterDeclaration]:
    for child in cursor.get_children():
        kind = child.kind.name
        if kind not in ("TEMPLATE_TYPE_PARAMETER", "TEMPLATE_NON_TYPE_PARAMETER"):
            continue
        text = " ".join(texts.slice(child.extent).split())
        default = text.split("=", 1)[1].strip() if "=" in text else None
        is_type = kind == "TEMPLATE_TYPE_PARAMETER"
        yield TemplateParameterDeclaration("typename" if is_type else child.type.spelling, child.spelling, default)


def _argument(cursor: clang.cindex.Cursor) -> KernelArgumentDeclaration:
    notes = _annotations(cursor)
    space = next((note for note in notes if note in ("device", "constant", "threadgroup", "thread")), None)
    attribute, slot = _attribute(notes)
    declared = cursor.type
    is_reference = declared.kind.name in ("LVALUEREFERENCE", "RVALUEREFERENCE")
    is_array = declared.kind.name in _ARRAYS  # a pointer, as a function's argument
    is_indirect = declared.kind.name == "POINTER" or is_reference or is_array
    value = declared.element_type if is_array else declared.get_pointee() if is_indirect else declared
    spelling = re.sub(r"^(const|volatile) |\b(const|volatile) ", "", value.spelling)
    return KernelArgumentDeclaration(
        name=cursor.spelling,
        type=spelling,
        address_space=space if is_indirect else None,
        is_const=bool(value.is_const_qualified()),
        is_reference=is_reference,
        attribute=attribute,
        slot=slot,
        gate=_inside(notes, "function_constant"),
        line=cursor.location.line,
        column=cursor.location.column,
    )


_ARRAYS = ("CONSTANTARRAY", "INCOMPLETEARRAY", "DEPENDENTSIZEDARRAY")
_SLOTTED = ("buffer", "threadgroup")
_PLAIN_ANNOTATIONS = {"device", "constant", "threadgroup", "thread"}


def _attribute(notes: list[str]) -> tuple[str | None, int | None]:
    for name in _SLOTTED:
        inside = _inside(notes, name)
        if inside is not None:
            return name, int(inside, 0) if re.fullmatch(r"\w+", inside) and inside[0].isdigit() else None
    for note in notes:
        if note not in _PLAIN_ANNOTATIONS and "(" not in note:
            return note, None
    return None, None


def _inside(notes: list[str], name: str) -> str | None:
    for note in notes:
        if note.startswith(name + "(") and note.endswith(")"):
            return note[len(name) + 1 : -1].strip()
    return None


def _value_of(notes: list[str], prefix: str) -> str | None:
    return next((note[len(prefix) :] for note in notes if note.startswith(prefix)), None)


# ---------------------------------------------------------------------------------------------------------------------
# libclang counts bytes; a caller's text is characters


class _Texts:
    """The bytes of a unit's files as libclang holds them (patched, which changes no offset)."""

    def __init__(self, unit: clang.cindex.TranslationUnit) -> None:
        self._unit = unit
        self._bytes: dict[str, bytes] = {}

    def slice(self, extent: Any) -> str:
        contents = self._contents(extent.start.file)
        return contents[extent.start.offset : extent.end.offset].decode()

    def characters(self, location: Any) -> int:
        """The offset of `location` in characters."""
        return len(self._contents(location.file)[: location.offset].decode())

    def before_attributes(self, location: Any) -> int:
        """The offset in characters of the attributes in front of `location`, which libclang leaves out."""
        before = self._contents(location.file)[: location.offset].decode()
        found = re.search(r"(?:(?:\[\[(?:[^\[\]]|\[[^\[\]]*\])*\]\]|\bMSLKER\b)\s*)+$", before)
        return found.start() if found else len(before)

    def following(self, location: Any) -> str:
        """The first character that is no space at or behind `location`."""
        return self._contents(location.file)[location.offset :].lstrip()[:1].decode("latin-1")

    def _contents(self, file: Any) -> bytes:
        if file.name not in self._bytes:
            self._bytes[file.name] = _file_contents(self._unit, file)
        return self._bytes[file.name]


def _file_contents(unit: clang.cindex.TranslationUnit, file: Any) -> bytes:
    """clang_getFileContents, which the Python bindings do not wrap."""
    import ctypes

    import clang.cindex as cindex

    function = cindex.conf.lib.clang_getFileContents
    function.argtypes = [cindex.TranslationUnit, cindex.File, ctypes.POINTER(ctypes.c_size_t)]
    function.restype = ctypes.c_void_p
    size = ctypes.c_size_t()
    address = function(unit, file, ctypes.byref(size))
    return ctypes.string_at(address, size.value) if address else b""
