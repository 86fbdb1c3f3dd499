# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`steel-port metallib`: what a compiled Metal library holds, and what one of its kernels says of itself."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from porter.cli.common import Command, json_option, print_json
from porter.errors import UsageError, located
from porter.model import to_data

if TYPE_CHECKING:
    from porter.metal.air import CompiledArgument, CompiledKernel, LibraryFunction, StructField
    from porter.metal.library_files import CarriedLibrary

_SPACES = {1: "device", 2: "constant", 3: "threadgroup"}


@click.group("metallib")
def command() -> None:
    """Look into a compiled Metal library: a .metallib, a Mach-O file (.dylib) that carries some, or a WHEEL:MEMBER."""


def section_option(function: Command) -> Command:
    return click.option(
        "--section", metavar="NAME", help="Only the library in this section of a Mach-O file that carries several."
    )(function)


@command.command("ls")
@click.argument("file")
@click.argument("pattern", default="*")
@section_option
@json_option
def list_functions(file: str, pattern: str, section: str | None, as_json: bool) -> None:
    """List the functions of FILE whose names match PATTERN (`*`, `?`, `[a-z]`), with type and size of the bitcode."""
    with _opened(file, section) as carried:
        found = [
            (one.section, function)
            for one in carried
            for function in one.library
            if fnmatch.fnmatchcase(function.name, pattern)
        ]
        several = len(carried) > 1
    if as_json:
        print_json([{"section": where, **to_data(function)} for where, function in found])
        return
    from porter.cli.vendored import print_table

    columns = ("function", "type", "bytes", "AIR", "language", *(("section",) if several else ()))
    print_table(columns, [(*_function_row(function), *((where,) if several else ())) for where, function in found])


@command.command("show")
@click.argument("file")
@click.argument("name")
@section_option
@json_option
def show(file: str, name: str, section: str | None, as_json: bool) -> None:
    """Show what the kernel NAME of FILE says of itself: arguments, function constants, struct layouts, limits."""
    from porter.metal.air import kernel

    function, code = _bitcode(file, name, section)
    with located(f"{file}: {name}"):
        found = kernel(code)
    if as_json:
        print_json({**to_data(found), "threadgroup_memory": found.threadgroup_memory, "function": to_data(function)})
    else:
        _print_kernel(found, function)


@command.command("disasm")
@click.argument("file")
@click.argument("name")
@section_option
@json_option
def disassemble(file: str, name: str, section: str | None, as_json: bool) -> None:
    """Print the LLVM IR of the function NAME of FILE."""
    from porter.metal.air import module

    function, code = _bitcode(file, name, section)
    with located(f"{file}: {name}"):
        text = module(code).text
    if as_json:
        print_json({"function": to_data(function), "ir": text})
    else:
        click.echo(text, nl=not text.endswith("\n"))


@contextmanager
def _opened(file: str, section: str | None) -> Iterator[list[CarriedLibrary]]:
    """The libraries of `file`, or the one in `section`."""
    from porter.metal.library_files import open_libraries

    with ExitStack() as stack:
        carried = open_libraries(file)
        for one in carried:
            stack.enter_context(one.library)
        chosen = [one for one in carried if section in (None, one.section)]
        if not chosen:
            names = ", ".join(one.section for one in carried if one.section)
            raise UsageError(
                f"{file} carries no library in a section {section!r}",
                expected=names or "no --section, for the file is one library",
            )
        yield chosen


def _bitcode(file: str, name: str, section: str | None) -> tuple[LibraryFunction, bytes]:
    """The function and its bitcode. Raises UsageError where several sections hold libraries and none is chosen."""
    with _opened(file, section) as carried:
        if len(carried) > 1:
            raise UsageError(
                f"{file} carries {len(carried)} libraries",
                expected="--section " + " or ".join(one.section for one in carried),
            )
        library = carried[0].library
        function = library[name]
        return function, library.bitcode(function)


def _printable(text: str) -> str:
    """`text` without what a terminal would obey; it comes from the file."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _version(numbers: Sequence[int] | None) -> str:
    return "" if numbers is None else ".".join(map(str, numbers))


def _function_row(function: LibraryFunction) -> tuple[object, ...]:
    versions = (_version(function.air_version), _version(function.language_version))
    return (function.name, function.type, function.size, *versions)


def _print_kernel(kernel: CompiledKernel, function: LibraryFunction) -> None:
    click.echo(f"{function.type} {_printable(kernel.name)}")
    language = f"{_printable(kernel.language)} {_version(kernel.language_version)}"
    producer = f", by {_printable(kernel.producer)}" if kernel.producer else ""
    click.echo(f"  AIR {_version(kernel.air_version)}, {language}{producer}")
    click.echo(f"  bitcode: {function.size} bytes at byte {function.offset} of the library")
    click.echo(f"  compiled with: {', '.join(map(_printable, kernel.options)) or 'not stated'}")
    click.echo(f"  threads in a threadgroup: {_limit(kernel)}")
    count = len(kernel.threadgroup_variables)
    held = f"{kernel.threadgroup_memory} bytes in {count} variable{'s' if count != 1 else ''}" if count else "none"
    click.echo(f"  threadgroup memory: {held}")
    for attribute, numbers in kernel.attributes:
        if attribute != "air.max_work_group_size":
            click.echo(f"  {_printable(attribute)}: {', '.join(map(str, numbers))}")
    _print_arguments(kernel)
    _print_structs(kernel)
    _print_rows(
        ("index", "function constant", "type", "required"),
        [(c.index, c.name, c.type, "yes" if c.required else "no") for c in kernel.constants],
    )
    _print_rows(
        ("bytes", "align", "type", "threadgroup variable"),
        [(one.size, one.align, one.type, one.name) for one in kernel.threadgroup_variables],
    )
    _print_rows(("external function",), [(name,) for name in kernel.externals])


def _limit(kernel: CompiledKernel) -> str:
    return "no limit stated" if kernel.thread_limit is None else f"at most {kernel.thread_limit}"


def _print_arguments(kernel: CompiledKernel) -> None:
    """What the host binds, and what a thread is told of its place."""
    columns = ("#", "slot", "argument", "kind", "type", "space", "access", "bytes", "align", "only if", "notes")
    _print_rows(columns, [_bound_row(argument) for argument in kernel.arguments if argument.slot is not None])
    _print_rows(
        ("#", "argument", "kind", "type", "notes"),
        [(a.index, a.name, a.kind, a.type, _notes(a)) for a in kernel.arguments if a.slot is None],
    )


def _bound_row(argument: CompiledArgument) -> tuple[object, ...]:
    space = argument.address_space
    return (
        argument.index,
        argument.slot,
        argument.name,
        "" if argument.kind == "buffer" else argument.kind,
        argument.type,
        "" if space is None else _SPACES.get(space, space),
        argument.access or "",
        _known(argument.size),
        _known(argument.align),
        argument.gate or "",
        _notes(argument),
    )


def _notes(argument: CompiledArgument) -> str:
    notes = ["not read"] if argument.unused else []
    if argument.slots != 1:
        notes.append(f"{argument.slots} slots")
    if argument.bound_size is not None and argument.bound_size != argument.size:
        notes.append(f"{argument.bound_size} bytes bound")
    return ", ".join(notes)


def _print_structs(kernel: CompiledKernel) -> None:
    """Each struct that an argument points to, once."""
    printed = set()
    for argument in kernel.arguments:
        layout = (argument.type, argument.fields)
        if argument.fields and layout not in printed:
            printed.add(layout)
            heading = f"struct {argument.type}, {_known(argument.size)} bytes"
            _print_rows(("offset", "bytes", "type", heading), list(_field_rows(argument.fields, 0, 0)))


def _field_rows(fields: Sequence[StructField], start: int, depth: int) -> Iterator[tuple[object, ...]]:
    """A field a row; those of a nested struct below it, further in."""
    for field in fields:
        length = f"[{field.array_length}]" if field.array_length else ""
        pointer = "" if field.pointee is None else f" {_SPACES.get(field.pointee.address_space or 0, '')}*"
        size = field.size * max(1, field.array_length)
        yield (start + field.offset, size, f"{field.type}{pointer}{length}", "  " * depth + field.name)
        yield from _field_rows(field.fields, start + field.offset, depth + 1)


def _known(value: Any) -> Any:
    return "" if value is None else value


def _print_rows(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """A table below an empty line, without the columns that would be empty; nothing where there are no rows."""
    from porter.cli.vendored import print_table

    if rows:
        kept = [index for index in range(len(columns)) if any(str(row[index]) for row in rows)]
        click.echo()
        print_table(
            [_printable(columns[index]) for index in kept],
            [[_printable(str(row[index])) for index in kept] for row in rows],
        )
