# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""The instantiation table: from every form in which upstream writes one."""

import pytest

from porter.errors import ParseError
from porter.model import Instantiation, KernelArgument, KernelTemplate, Location, TemplateParameter
from porter.parse.corpus import read_corpus, read_parts
from porter.parse.instantiations import ROW, deduced_arguments, normalised, split_arguments, with_rows
from porter.spec import Family

TABLE, FOLD, KERNEL = "mlx/k/scale.metal", "mlx/k/fold.metal", "mlx/k/scale.h"


def test_macros_are_expanded_and_know_the_outermost_call(small, scale: Family) -> None:
    table = read_corpus(small(), (scale,)).instantiations
    assert [row.host_name for row in table] == [
        f"scale_{dtype}_n{n}_{flip}" for n in (8, 16) for dtype in ("f32", "f16") for flip in (0, 1)
    ]
    assert table[3] == Instantiation("scale_f16_n8_1", "scale", ("half", "8", "true"), Location(TABLE, 9), "scale")
    assert table[4] == Instantiation("scale_f32_n16_0", "scale", ("float", "16", "false"), Location(TABLE, 10), "scale")


def test_every_form(small, fold: Family) -> None:
    rows = {row.host_name: row for row in read_corpus(small(), (fold,)).instantiations}
    assert {name: (row.template, row.arguments, row.origin.line) for name, row in rows.items()} == {
        "count": ("count", (), 4),  # a plain kernel is called as its function is
        "fold_f32_3": ("fold", ("float", "3"), 22),
        "fold_f16_3": ("fold", ("half", "3"), 22),
        "deduced_f32_2": ("fold", ("float", "2"), 23),  # the function's arguments alone say which
        "stepped_f32_4": ("fold", ("float", "4", "2"), 26),
        "blank": ("blank", (), 27),  # every template argument has a default
    }
    assert {row.family for row in rows.values()} == {"fold"}


def test_a_macro_among_the_arguments_is_what_it_stands_for(small, scale: Family) -> None:
    sources = small(
        {
            TABLE: [
                ("scales(8)", "#define EIGHT 8\nscale_of(f32, float, 8)"),
                ("scales( 16 )", '#define WORD half\ninstantiate_kernel("word", scale, WORD, EIGHT, true)'),
            ]
        }
    )
    (part,) = read_parts(sources, (scale,))
    (row,) = [one for one in part.instantiations if one.host_name == "word"]
    assert row.arguments == ("half", "8", "true")


def test_no_offset_changes() -> None:
    text = (
        '#define f(n) \\\n  template \\\n      [[host_name("a" #n \\\n  )]] [[kernel]] void \\\n  g<n>(int x);\n'
        'template [[ host_name("b") ]] kernel void h(device int* x [[buffer(0)]]);\n'
        'template[[host_name("c")]]decltype(h<1>) h<1>; // é\n'
        'const char* text = "template [[host_name(1)]] x;"; /* template [[host_name(2)]] y; */\n'
    )
    made = with_rows("t.metal", text)
    assert len(made) == len(text)
    assert [i for i, c in enumerate(made) if c == "\n"] == [i for i, c in enumerate(text) if c == "\n"]
    assert made.count(ROW) == 3
    assert made.split("\n")[-2] == text.split("\n")[-2]
    assert with_rows("t.metal", "int host;\n") == "int host;\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scales(8)", "scales(many)", r"mlx/k/scale\.metal:9: not valid Metal source"),
        ("scales(8)", 'template [[host_name("x")]] void f();', r"mlx/k/scale\.metal:9: not valid Metal source"),
        ("scales(8)", "scale_of(f32, double3, 8)", r"mlx/k/scale\.metal:9: not valid Metal source"),
        ("scales(8)", '[[host_name("x")]] void f();', r"mlx/k/scale\.metal:9: a host name in a form that"),
        ("scales(8)", 'template [[host_name("x"), unused]] void f();', r"metal:9: a host name in a form that"),
        (
            "scales(8)\nscales( 16 )\n",
            'template [[host_name("x")]] void f()',
            r"metal:9: the instantiation does not end",
        ),
        (
            "scales(8)",
            'template <typename T> void helper(T x) {}\ninstantiate_kernel("x", helper, int)',
            r"mlx/k/scale\.metal:10:1: x instantiates helper<int>, which is no kernel",
        ),
    ],
)
def test_a_table_that_is_not_understood(small, scale: Family, old: str, new: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        read_corpus(small({TABLE: (old, new)}), (scale,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half, 64, true", ("half", "64", "true")),
        ("vec<int, 2>, f(1, 2), array<vec<T, 4>, 2>", ("vec<int, 2>", "f(1, 2)", "array<vec<T, 4>, 2>")),
        ("", ()),
    ],
)
def test_template_arguments_are_split_at_their_own_commas(text: str, expected: tuple[str, ...]) -> None:
    assert split_arguments(text) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [(" Sum< float >", "Sum<float>"), ("unsigned  int", "unsigned int"), ("Op<A , B>", "Op<A,B>"), ("- 1", "-1")],
)
def test_spellings_are_compared_without_their_spaces(argument: str, expected: str) -> None:
    assert normalised(argument) == expected


# ---------------------------------------------------------------------------------------------------------------------
# Arguments that the types say


def kernel(parameters: list[tuple[str, str, str | None]], types: list[str]) -> KernelTemplate:
    where = Location("f.h", 1)
    arguments = tuple(
        KernelArgument(f"a{i}", t, "device", False, "buffer", i, None, where) for i, t in enumerate(types)
    )
    return KernelTemplate("f", tuple(TemplateParameter(*one) for one in parameters), arguments, None, where, where)


@pytest.mark.parametrize(
    ("types", "written", "expected"),
    [
        (["T", "N_of<N>"], "const device half* x [[buffer(0)]], constant N_of<4>& n", ("half", "4")),
        (["N_of<N>", "T"], "device N_of< 4 >*, device vec<float, 2>* x", ("vec<float,2>", "4")),
        (["Both<T, N>", "T"], "device Both<metal::uint2, 1>* x, device metal::uint2* y", ("metal::uint2", "1")),
        (["T", "int", "N_of<N>"], "device unsigned int* x, int y, device N_of<2>* z", ("unsigned int", "2")),
    ],
)
def test_arguments_are_deduced(types: list[str], written: str, expected: tuple[str, ...]) -> None:
    parameters = [("typename", "T", None), ("int", "N", None), ("bool", "flag", "false")]
    assert deduced_arguments(kernel(parameters, types), written, "t.metal:1") == expected


def test_what_cannot_be_deduced_is_an_error() -> None:
    one = kernel([("typename", "T", None), ("int", "N", None)], ["T"])
    with pytest.raises(ParseError, match=r"t\.metal:1: f is instantiated by types that do not say .* argument N"):
        deduced_arguments(one, "device half* x", "t.metal:1")
