# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
import pytest

from porter.emit.flatten import flatten
from porter.errors import EmitError


def test_every_header_once_in_include_order() -> None:
    headers = {
        "a.h": "#pragma once\n#include <metal_stdlib>\n#include <b.h>\n#include <c.h>\nA\n",
        "b.h": "#pragma once\n#include <c.h>\n#include <metal_stdlib>\nB\n",
        "c.h": "#pragma once\nC\n",
    }
    assert flatten("a.h", headers) == "#include <metal_stdlib>\nC\nB\nA\n"


def test_shader_source_is_ascii() -> None:
    assert flatten("a.h", {"a.h": "// © 2024\n"}) == "// (c) 2024\n"


def test_a_character_without_an_ascii_form_names_its_line() -> None:
    with pytest.raises(EmitError, match=r"a\.h \(flattened\):2: 'é' has no ASCII form"):
        flatten("a.h", {"a.h": "int x;\n// é\n"})


def test_source_may_not_end_the_string_that_holds_it() -> None:
    with pytest.raises(EmitError, match="would end the string"):
        flatten("a.h", {"a.h": 'x )METAL" y\n'})
