# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What of Metal there is: every name of the shim stands in docs/msl.md beside a test, and what MLX and PyTorch use is
there. `python tests/metal/test_surface.py CLONE_OF_MLX` prints the page's last section as it has to be."""

from __future__ import annotations

import ctypes
import functools
import io
import itertools
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from porter.metal.frontend import SHIM, VIRTUAL_ROOT, Mode, compiler_arguments, parse
from porter.metal.patches import patch

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "msl.md"
PAGES = (PAGE, ROOT / "docs" / "msl-collective.md")
KERNELS = "mlx/backend/metal/kernels"
# The oldest, the default and the newest release of those that have to be read.
TAGS = ("v0.29.0", "v0.30.1", "v0.32.1")
TENSORS = "MetalPerformancePrimitives/MetalPerformancePrimitives.h"

# ---------------------------------------------------------------------------------------------------------------------
# The page


@functools.cache
def tables() -> dict[str, tuple[str, ...]]:
    """name -> the tests of its row. In the first column `a{b,c}` stands for `ab` and `ac`, and prose for itself."""
    rows: dict[str, tuple[str, ...]] = {}
    for line in _lines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if not line.startswith("| ") or len(cells) != 3 or cells[0] in ("| name", "| ---"):
            continue
        tests = tuple(re.findall(r"`([^`]+)`", cells[2]))
        for name in itertools.chain.from_iterable(map(braces, re.findall(r"`([^`]+)`", cells[0]))):
            assert name not in rows, f"{name} stands in docs/msl.md twice"
            rows[name] = tests
    return rows


def _lines() -> list[str]:
    return [line for page in PAGES for line in page.read_text().splitlines()]


def braces(pattern: str) -> list[str]:
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    ways = (pattern[: found.start()] + one + pattern[found.end() :] for one in found.group(1).split(","))
    return [name for way in ways for name in braces(way)]


def listed(heading: str) -> set[str]:
    """The names in backticks below `heading`."""
    text = PAGE.read_text().split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    return set(re.findall(r"`([^`]+)`", text))


def test_every_row_names_a_test_that_is_there():
    rows = [line for line in _lines() if line.startswith("| ") and line.count(" | ") == 2]
    assert len(rows) > 30
    for row in rows:
        tests = re.findall(r"`([^`]+)`", row.split(" | ")[2])
        if row.startswith(("| name", "| ---")):
            continue
        assert tests, f"no test in {row}"
        for test in tests:
            path, _, function = test.partition("::")
            assert re.search(rf"^def {function}\(", (ROOT / "tests" / path).read_text(), re.M), test


# ---------------------------------------------------------------------------------------------------------------------
# The shim


def test_the_page_has_every_name_of_the_shim_and_no_other():
    offered, written = public_names(), set(tables())
    assert sorted(offered - written) == [], "missing in docs/msl.md"
    assert sorted(written - offered) == [], "in docs/msl.md, but not in the shim"
    assert sorted((listed("PyTorch") | listed("MLX")) - written) == [], "used, but in no table"


@functools.cache
def public_names() -> frozenset[str]:
    """What the shim declares for users: names in namespace metal and outside of it, members' and our own ones not."""
    unit = parse(f"#include <{TENSORS}>\n", {})
    names = set(itertools.chain.from_iterable(_declared(child) for child in unit.cursor.get_children()))
    return frozenset(_as_written(name) for name in names if _is_for_users(name))


def _is_for_users(name: str) -> bool:
    return name not in ("", "metal", "tgp_argumen") and not re.match(r"msl_|MSL|__|operator\W|~", name)


def _as_written(name: str) -> str:
    """A patch gives attributes of arguments a capital, so that an argument may have the attribute's name."""
    return name[0].lower() + name[1:] if re.match("[A-Z][a-z]", name) else name


_SCOPES = ("NAMESPACE", "LINKAGE_SPEC")
_SILENT = ("INCLUSION_DIRECTIVE", "MACRO_INSTANTIATION", "USING_DIRECTIVE")


def _declared(cursor: Any) -> Iterator[str]:
    if not _in_shim(cursor) or cursor.kind.name in _SILENT:
        return
    if cursor.kind.name in _SCOPES:
        if cursor.spelling != "msl_vectors":  # metal has what of it is for users
            for child in cursor.get_children():
                yield from _declared(child)
        return
    if cursor.kind.name == "USING_DECLARATION":
        kinds = ("TYPE_REF", "TEMPLATE_REF", "OVERLOADED_DECL_REF")
        yield from (child.spelling for child in cursor.get_children() if child.kind.name in kinds)
    yield cursor.spelling
    if cursor.kind.name == "ENUM_DECL" and not cursor.is_scoped_enum():
        yield from (child.spelling for child in cursor.get_children())


def _in_shim(cursor: Any) -> bool:
    file = cursor.location.file
    return file is not None and file.name.startswith(str(SHIM))


# ---------------------------------------------------------------------------------------------------------------------
# What others' code uses


def used_names(unit: Any, seen: set[tuple[str, int]]) -> set[str]:
    """Names of the shim that the unit's own files refer to, as libclang resolves them. `seen` holds the declarations
    (file and offset) that were looked at before; they are passed over."""
    names: set[str] = set()
    for child in unit.cursor.get_children():
        file = child.location.file
        if file is None or not file.name.startswith(VIRTUAL_ROOT):
            continue
        place = (file.name, child.extent.start.offset)
        if place not in seen:
            seen.add(place)
            _collect(child, names)
    return set(map(_as_written, filter(_is_for_users, names)))


def _collect(cursor: Any, names: set[str]) -> None:
    kind = cursor.kind.name
    if kind == "OVERLOADED_DECL_REF":
        if any(map(_in_shim, _overloads(cursor))):
            names.add(cursor.spelling)
    elif kind in ("DECL_REF_EXPR", "TYPE_REF", "TEMPLATE_REF", "MACRO_INSTANTIATION"):
        target = cursor.referenced
        if target is not None and _in_shim(target) and not _is_member(target):
            names.add(target.spelling)
    for child in cursor.get_children():
        _collect(child, names)


def _is_member(cursor: Any) -> bool:
    """Whether a class, a function, a template's head or a scoped enumeration has it."""
    parent = cursor.semantic_parent
    return cursor.kind.name != "MACRO_DEFINITION" and (
        parent is None
        or parent.kind.name not in ("TRANSLATION_UNIT", "NAMESPACE", "ENUM_DECL", "LINKAGE_SPEC")
        or (parent.kind.name == "ENUM_DECL" and parent.is_scoped_enum())
        or cursor.kind.name.startswith("TEMPLATE_")
    )


def _overloads(cursor: Any) -> Iterator[Any]:
    """clang_getOverloadedDecl, which the Python bindings do not wrap."""
    import clang.cindex as cindex

    library = cindex.conf.lib
    library.clang_getOverloadedDecl.argtypes = [cindex.Cursor, ctypes.c_uint]
    library.clang_getOverloadedDecl.restype = cindex.Cursor
    for i in range(library.clang_getNumOverloadedDecls(cursor)):
        found = library.clang_getOverloadedDecl(cursor, i)
        found._tu = cursor._tu
        yield found


def read_in(mode: Mode, main: str, files: Mapping[str, str]) -> list[str]:
    """clang's errors about `main`, read in `mode`."""
    import clang.cindex as cindex

    unsaved = [(f"{VIRTUAL_ROOT}/{path}", patch(text)[0]) for path, text in files.items()]
    name = f"{VIRTUAL_ROOT}/main.cpp"
    arguments = [*compiler_arguments(mode), f"-I{VIRTUAL_ROOT}"]
    unit = cindex.Index.create().parse(name, args=arguments, unsaved_files=[*unsaved, (name, main)])
    return [str(found) for found in unit.diagnostics if found.severity >= found.Error]


# ---------------------------------------------------------------------------------------------------------------------
# PyTorch


@functools.cache
def torch_headers() -> dict[str, str]:
    """path -> text of the installed torch's headers for Metal, and of what they include."""
    torch = pytest.importorskip("torch")
    include = Path(torch.__file__).parent / "include"
    found = [*include.glob("c10/metal/*.h"), *include.glob("ATen/native/mps/kernels/*.h")]
    assert len(found) > 20
    texts = {path.relative_to(include).as_posix(): path.read_text() for path in found}
    for text in list(texts.values()):
        for path in re.findall(r"#include <(ATen/[^>]+)>", text):
            texts.setdefault(path, (include / path).read_text())
    return texts


def torch_mains() -> Iterator[tuple[str, str]]:
    """(header, a main file that includes it as PyTorch's own sources do)."""
    for header in sorted(torch_headers()):
        if not header.startswith(("c10/metal/", "ATen/native/mps/kernels/")):
            continue
        # SortTopK.h includes what it needs; SortRadix.h leaves that to its includer.
        before = "ATen/native/mps/kernels/SortMerge.h" if header.endswith("SortRadix.h") else "c10/metal/utils.h"
        yield (
            header,
            f"#include <metal_stdlib>\n#include <c10/metal/utils.h>\nusing namespace metal;\n"
            f"#include <{before}>\n#include <{header}>\n",
        )


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_pytorchs_headers_are_read(mode):
    for header, main in torch_mains():
        assert read_in(mode, main, torch_headers()) == [], header


def pytorch_uses() -> set[str]:
    seen: set[tuple[str, int]] = set()
    names: set[str] = set()
    for _, main in torch_mains():
        names |= used_names(parse(main, torch_headers()), seen)
    return names


def test_the_page_lists_what_pytorch_uses():
    assert pytorch_uses() == listed("PyTorch")


# ---------------------------------------------------------------------------------------------------------------------
# MLX


def mlx_files(clone: str, tag: str) -> dict[str, str]:
    """path -> text of every kernel file of a release, as the compiler's include path finds them."""
    command = ["git", "-C", clone, "archive", tag, KERNELS]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            content = members.extractfile(member) if member.name.endswith((".h", ".metal")) else None
            if content is not None:
                files[member.name] = content.read().decode()
    # Before v0.29.4 the compiler was told where the bf16.h of its version of Metal lies.
    chosen = f"{KERNELS}/metal_3_1/bf16.h"
    if chosen in files:
        files["bf16.h"] = files[chosen]
    return files


def mlx_mains(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path in sorted(files):
        if path.endswith(".metal"):
            yield path, f'#include "{path}"\n'


@pytest.mark.parametrize("tag", TAGS)
def test_mlxs_kernels_are_read(mlx_git, tag):
    files = mlx_files(mlx_git, tag)
    mains = list(mlx_mains(files))
    assert len(mains) > 30
    for path, main in mains:
        for mode in Mode:
            assert read_in(mode, main, files) == [], f"{path} in mode {mode.value}"


def mlx_uses(clone: str, tags: Iterable[str]) -> set[str]:
    names: set[str] = set()
    for tag in tags:
        files = mlx_files(clone, tag)
        seen: set[tuple[str, int]] = set()
        for _, main in mlx_mains(files):
            names |= used_names(parse(main, files), seen)
    return names


def test_the_page_lists_what_mlx_uses(mlx_git):
    assert mlx_uses(mlx_git, TAGS) == listed("MLX")


# ---------------------------------------------------------------------------------------------------------------------
# Writing the last section


def section(heading: str, names: Iterable[str]) -> str:
    words = ", ".join(f"`{name}`" for name in sorted(names))
    return f"### {heading}\n{words}\n"


if __name__ == "__main__":
    sys.stdout.write(section("PyTorch", pytorch_uses()))
    sys.stdout.write(section("MLX", mlx_uses(sys.argv[1], TAGS)))
