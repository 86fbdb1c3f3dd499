# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Whose a file is, and under which licence, as the file itself says."""

import pytest

from porter.errors import ParseError
from porter.model import Location, Notice, Sources
from porter.parse.lexer import tokenize
from porter.parse.notices import LICENCES, Licence, NamedOrigin, named_origins, read_licence, read_notice
from porter.port.notice import LICENCE_TAG

KERNELS = "mlx/backend/metal/kernels"


def notice(text: str) -> Notice:
    return read_notice("f.h", tokenize(text), "X-Default")


@pytest.mark.parametrize("licence", LICENCES, ids=lambda licence: licence.spdx)
def test_each_licence_knows_its_example_and_no_other(licence: Licence) -> None:
    found = notice(licence.example + "\nint code;\n")
    assert (found.spdx, found.stated) == (licence.spdx, True)


def test_copyright_lines_stand_as_they_are_written() -> None:
    text = "// Copyright © 2023-2024 A Company Inc.\n/*\n *  Copyright (c) 1999, B & C  \n */\nint x; // (c) 2001 D\n"
    found = notice(text)
    expected = ("Copyright © 2023-2024 A Company Inc.", "Copyright (c) 1999, B & C", "(c) 2001 D")
    assert found == Notice(expected, "X-Default", False, Location("f.h", 1))


def test_the_place_is_that_of_the_first_copyright_line() -> None:
    assert notice("#pragma once\n\n// Copyright 2020 A\n").location == Location("f.h", 3)


def test_a_file_that_says_nothing_has_the_default() -> None:
    assert notice('#define NAME "Copyright 2020 in a string"\n') == Notice((), "X-Default", False, Location("f.h", 1))


def test_words_of_a_licence_are_no_copyright_line() -> None:
    assert notice("// COPYRIGHT HOLDERS BE LIABLE\n// copyright notice, this list\n").copyrights == ()


def test_an_spdx_tag_counts() -> None:
    assert notice(f"// {LICENCE_TAG} Zlib\n").spdx == "Zlib"


def test_two_licences_are_both_stated() -> None:
    both = LICENCES[0].example + "\n" + LICENCES[-1].example + "\n"
    assert notice(both).spdx == f"{LICENCES[0].spdx} AND {LICENCES[-1].spdx}"


@pytest.mark.parametrize(
    "words", ["Licensed under the terms of the X Consortium.", "All rights reserved.", "This is public domain."]
)
def test_an_unknown_grant_is_an_error_and_not_the_default(words: str) -> None:
    with pytest.raises(ParseError, match=r"f\.h:2: a licence statement that is not recognised"):
        notice(f"// Copyright 2020 A\n// {words}\n")


def test_a_four_clause_licence_is_not_taken_for_a_shorter_one() -> None:
    text = LICENCES[1].example.replace("*/", "All advertising materials mentioning this must say so */")
    with pytest.raises(ParseError, match="not recognised"):
        notice(text)


def test_an_unknown_licence_file() -> None:
    with pytest.raises(ParseError, match="LICENSE:1"):
        read_licence("LICENSE", "Do what you like.")


@pytest.mark.parametrize(
    "words",
    [
        "Adapted from somewhere", "taken directly from there", "forked\n// from it", "copy-n-pasted from X",
        "Based on the code of Y", "Based on GPU merge sort algorithm at", "from PyTorch", "inspired by Z",
        "a Stack Overflow answer", "see c10", "CUB does this", "a port of W", "the reference implementation",
        "http://example.org", "https://www.apache.org/ is not the licence", "see arXiv 1234",
    ],
)  # fmt: skip
def test_words_that_name_another_origin(words: str) -> None:
    found = named_origins(f"int x;\n\n// {words}\nint y;\n")
    assert [(one.first, one.line) for one in found] == [(3, 3)]


@pytest.mark.parametrize(
    "code",
    [
        "// Adjust the pointer based on tid\n", "// copied to device memory\n", "// load from threadgroup memory\n",
        '#include "https://example.org"\n', "int cub; // a cube\n", "int from_pytorch;\n",
        "// http://www.apache.org/licenses/LICENSE-2.0\n", "// Copyright 2020 A\n",
    ],
)  # fmt: skip
def test_what_names_no_origin(code: str) -> None:
    assert named_origins(code) == ()


def test_an_origin_is_known_by_its_words_and_not_by_its_layout() -> None:
    lines = "x;\n/*\n * Text.\n * Based on code\n * of A.\n */\n"
    (one,) = named_origins(lines)
    assert one == NamedOrigin(4, "Based on code", 2, 6, one.digest)
    assert named_origins("// Text. Based on\n// code of A.\n")[0].digest == one.digest
    assert named_origins("// Text. Based on\n// code of B.\n")[0].digest != one.digest


def test_two_comments_are_two_statements() -> None:
    assert [one.line for one in named_origins("// from PyTorch\nint x;\n// from NumPy\n\n// by hand\n")] == [1, 3]


def upstream_notice(sources: Sources, path: str) -> Notice:
    licence = read_licence("LICENSE", sources.files["LICENSE"].text)
    assert licence == "MIT"
    return read_notice(path, tokenize(sources.files[path].text), licence)


def test_upstream_headers_of_other_licences(sources: Sources) -> None:
    cexpf = upstream_notice(sources, f"{KERNELS}/cexpf.h")
    assert (cexpf.spdx, cexpf.stated, len(cexpf.copyrights)) == ("Apache-2.0", True, 3)
    assert any("NVIDIA Corporation" in line for line in cexpf.copyrights)
    expm1f = upstream_notice(sources, f"{KERNELS}/expm1f.h")
    assert (expm1f.spdx, expm1f.stated, len(expm1f.copyrights)) == ("BSD-2-Clause", True, 2)
    assert any("Norbert Juffa" in line for line in expm1f.copyrights)


def test_every_other_header_of_upstream_is_under_its_licence_file(sources: Sources) -> None:
    headers = [path for path in sources.files if path.endswith(".h")]
    notices = {path.removeprefix(f"{KERNELS}/"): upstream_notice(sources, path) for path in headers}
    assert {path for path, found in notices.items() if found.stated} == {"cexpf.h", "expm1f.h"}
    assert {path for path, found in notices.items() if not found.copyrights} == {"fp4.h", "fp8.h", "reduce.h"}


def test_the_fourth_file_without_a_notice_is_a_metal_file(full_sources: Sources) -> None:
    kernels = [path for path in full_sources.files if path.startswith(KERNELS) and path.endswith(".metal")]
    silent = [path for path in kernels if not upstream_notice(full_sources, path).copyrights]
    assert silent == [f"{KERNELS}/scaled_dot_product_attention.metal"]
