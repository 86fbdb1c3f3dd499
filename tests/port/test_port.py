# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What concerns several files at once, and what `port` refuses."""

import dataclasses

import pytest

from porter.errors import PortError
from porter.model import Corpus, Edit, Location, Macro, Notice, Port
from porter.port import apply_edits, port
from porter.port.rules.rule import Example
from porter.port.target import load_target
from porter.spec import Constant, Family
from tests.emit.conftest import FILES, SCALE, TURN, K, family, sources_of
from tests.port.test_rules import context

TARGET = load_target()


def ported(files: dict[str, str], *families: Family, macros: tuple[Macro, ...] = ()) -> Port:
    sources = sources_of({"LICENSE": "x", **files})
    paths = tuple(sorted(files))
    notices = {path: Notice((), "MIT", False, Location(path, 1)) for path in paths}
    corpus = Corpus(sources.pin, paths, (), macros, notices, (), (), (), ())
    return port(corpus, sources, families, TARGET)


def text_of(made: Port, path: str) -> str:
    return next(file.text for file in made.files if file.source == K + path)


def test_constants_are_those_of_the_families_that_own_the_file() -> None:
    """Two families call a constant alike, in different files, and lower it differently."""
    flag = "constant bool flag [[function_constant(7)]];\n"
    kernel = "template <typename T>\n[[kernel]] void k(device T* x) {\n  if (flag) return;\n}\n"
    one = family("one", ("one.h",), constants=(Constant("flag", 7, "template", "fl", "bool", ("k",)),))
    two = family("two", ("two.h",), constants=(Constant("flag", 7, "define", "", "bool", ("k",)),))
    made = ported({K + "one.h": flag + kernel, K + "two.h": flag + kernel}, one, two)
    assert "bool flag>" in text_of(made, "one.h")
    assert "constexpr constant bool flag = STEEL_PORT_FLAG;" in text_of(made, "two.h")


def test_a_kernels_header_includes_what_stands_before_it() -> None:
    files = {path: text for path, text in FILES.items() if path.startswith(K)}
    made = ported(files, SCALE, TURN)
    assert "#include <ATen/native/mps/kernels/MlxBase.h>\n" in text_of(made, "scale.h")
    # What a file includes itself is not included twice.
    assert text_of(made, "turn.metal").count("MlxBase.h") == 1


def test_needs_of_the_target_are_included() -> None:
    needing = dataclasses.replace(TARGET, needs={K + "a.h": (K + "b.h", K + "absent.h")})
    c = dataclasses.replace(context(Example("int x;\n", "", path=K + "a.h")), target=needing)
    c = c.among({K + "a.h": "a.h", K + "b.h": "b.h"})
    from porter.port import make_edits

    assert apply_edits(c, make_edits(c)).endswith("#pragma once\n\n#include <b.h>\n\nint x;\n")


def test_tables_without_bodies_are_not_ported() -> None:
    table_only = family("scale", ("scale.h",), constants=SCALE.constants)
    files = {K + "scale.h": "int x;\n", K + "scale.metal": "int y;\n"}
    assert [file.source for file in ported(files, table_only).files] == [K + "scale.h"]


def test_the_keyword_kernel_means_what_the_attribute_does() -> None:
    c = context(Example("template <typename T>\nkernel void a(device T* x) {}\nkernel void b() {}\nvoid c() {}\n", ""))
    assert [(one.name, one.parameters_end is not None) for one in c.kernels_here] == [("a", True), ("b", False)]


def test_a_declaration_of_a_kernel_is_no_definition() -> None:
    assert context(Example("[[kernel]] void a(device int* x);\n", "")).kernels_here == ()


def test_two_files_of_one_name() -> None:
    with pytest.raises(PortError, match=r"would both become ATen/native/mps/kernels/MlxAB\.h"):
        ported({K + "a_b.h": "int x;\n", K + "a/b.h": "int y;\n"})


def test_two_bodies_of_one_macro() -> None:
    macros = tuple(Macro("STEEL_CONST", None, body, Location(K + "a.h", line)) for line, body in ((1, "x"), (2, "y")))
    with pytest.raises(PortError, match=r"a\.h:2:1: macro STEEL_CONST has two bodies \(expected the body at .*a\.h:1"):
        ported({K + "a.h": "int x;\n"}, macros=macros)


def test_two_families_that_lower_one_constant_differently() -> None:
    one = family("one", ("a.h",), constants=(Constant("flag", 7, "define", "", "bool", ("k",)),))
    two = family("two", ("a.h",), constants=(Constant("flag", 7, "template", "fl", "bool", ("k",)),))
    with pytest.raises(PortError, match=r"a\.h: two families lower the function constant flag differently") as caught:
        ported({K + "a.h": "int x;\n"}, one, two)
    assert "specs/families/one.yaml, specs/families/two.yaml" in str(caught.value.next_step)


def test_an_edit_inside_a_token() -> None:
    c = context(Example("int number;\n", ""))
    with pytest.raises(PortError, match=r"example\.h:1: rule r cuts a token"):
        apply_edits(c, [Edit(5, 7, "", "r")])


def test_a_template_parameter_list_that_does_not_end() -> None:
    with pytest.raises(PortError, match=r"example\.h:1: nothing closes '<'"):
        _ = context(Example("template <typename T\nvoid f();\n", "")).kernels_here
