# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""A YAML that says what upstream does not, or leaves something of upstream out, is told where and what to write."""

import dataclasses

import pytest

from porter.errors import SpecError
from porter.parse.check import problems
from porter.parse.corpus import file_facts, read_corpus, read_parts
from porter.spec import Family

from .conftest import FOLD_YAML, SCALE_YAML, Edited, line_of

KERNEL, BASE, TABLE, FOLD, HOST = (
    "mlx/k/scale.h",
    "mlx/k/base.h",
    "mlx/k/scale.metal",
    "mlx/k/fold.metal",
    "mlx/host.cpp",
)


def told(sources, family: Family) -> list[SpecError]:
    (part,) = read_parts(sources, (family,))
    return problems(family, part, sources, file_facts(sources))


@pytest.fixture
def complain(small, edited: Edited):
    """The only complaint about a YAML after one replacement, and the line on which `at` stands in the YAML."""

    def only(yaml: str, old: str, new: str, at: str, message: str, **sources) -> None:
        (error,) = told(small(**sources), edited(yaml, old, new))
        text = yaml.replace(old, new) if old else yaml
        assert error.where == f"specs/family.yaml:{line_of(text, at)}", error
        assert message in f"{error.what} (expected {error.expected})"

    return only


def test_the_untouched_yamls_agree(small, scale: Family, fold: Family) -> None:
    assert told(small(), scale) == told(small(), fold) == []


# ---------------------------------------------------------------------------------------------------------------------
# Host names and template arguments


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        # a value taken out: the axis that lacks it (shared and of the table), and the value
        (
            "      - { n: 16 }\n",
            "",
            "    n:\n",
            "lacks 4 host names (scale_f32_n16_0, scale_f32_n16_1, scale_f16_n16_0",
        ),
        ("      - { n: 16 }\n", "", "    n:\n", "(expected a row { n: 16 } of the axis n)"),
        (
            "          - { dtype: f16, T: half }\n",
            "",
            "        dtype:",
            "(expected a row { dtype: f16 } of the axis dtype)",
        ),
        # a value that upstream has not: its own line
        (
            "{ n: 16 }",
            "{ n: 16 }\n      - { n: 32 }",
            "      - { n: 32 }",
            "this table yields 4 host names (scale_f32_n32_0",
        ),
        (
            "          - { bit: 1, flip: true }\n",
            "          - { bit: 1, flip: true }\n          - { bit: 2, flip: true }\n",
            "          - { bit: 2",
            "this table yields 4 host names",
        ),
        # the name is right and what it stands for is not
        (
            "T: half",
            "T: float",
            "          - { dtype: f16",
            "scale_f16_n8_0 is scale<float, 8, false>, and 3 more (expected <half, 8, false>",
        ),
        ("arguments: [T, n, flip]", "arguments: [T, flip, n]", "      arguments: [T, flip", "scale<float, false, 8>"),
        (
            "arguments: [T, n, flip]",
            "arguments: [T, n]",
            "      arguments: [T, n]",
            "scale_f32_n8_0 is scale<float, 8>",
        ),
        ("flip: true", "flip: false", "          - { bit: 1", "scale_f32_n8_1 is scale<float, 8, false>, and 3 more"),
    ],
)
def test_a_wrong_table(complain, old: str, new: str, at: str, message: str) -> None:
    complain(SCALE_YAML, old, new, at, message)


def test_a_wrong_grammar_is_wrong_twice(small, edited: Edited) -> None:
    extra, missing = told(small(), edited(SCALE_YAML, '"scale_{', '"scales_{'))
    assert "this table yields 8 host names (scales_f32_n8_0" in extra.what
    assert extra.expected == f"such as scale_f32_n8_0, as at {TABLE}:9:1"
    assert extra.where == f"specs/family.yaml:{line_of(SCALE_YAML, '      grammar:')}"
    assert "lacks 8 host names" in missing.what
    assert missing.expected == "a table of kernel: scale with arguments [float, 8, false] for scale_f32_n8_0"
    assert missing.where == f"specs/family.yaml:{line_of(SCALE_YAML, '    - kernel: scale')}"


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (
            "    - { kernel: blank, grammar: blank, arguments: [] }\n",
            "",
            "  tables:",
            "lacks 1 host names (blank) of blank",
        ),
        (
            "    - { kernel: count, grammar: count, arguments: [] }\n",
            "",
            "  tables:",
            "(expected a table of kernel: count with arguments [] for count)",
        ),
        (
            "kernel: fold, grammar: stepped",
            "kernel: blank, grammar: stepped",
            "    - { kernel: blank, grammar: stepped",
            "upstream instantiates fold for 1 host names (stepped_f32_4)",
        ),
        (
            "deduced_f32_2, arguments: [float, 2]",
            "deduced_f32_2, arguments: [float, 3]",
            "    - { kernel: fold, grammar: deduced",
            "deduced_f32_2 is fold<float, 3> (expected <float, 2>",
        ),
    ],
)
def test_a_wrong_table_of_several(complain, old: str, new: str, at: str, message: str) -> None:
    complain(FOLD_YAML, old, new, at, message)


def test_spaces_in_an_argument_do_not_matter(small, edited: Edited) -> None:
    sources = small(
        {
            TABLE: [("scale_of(f32, float, n)", "scale_of(f32, Box< float >, n)")],
            BASE: ("#define EMPTY", "#define EMPTY\ntemplate <typename T> using Box = T;"),
        }
    )
    assert told(sources, edited(SCALE_YAML, "T: float", 'T: "Box<float>"')) == []
    assert len(told(sources, edited(SCALE_YAML, "T: float", 'T: "Box<half>"'))) == 1


# ---------------------------------------------------------------------------------------------------------------------
# Kernels and their arguments


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        (
            "name: out, slot: 1",
            "name: put, slot: 1",
            "      - { name: put",
            "the kernel scale has no buffer put (expected one of in, out, params, more",
        ),
        (
            "name: out, slot: 1",
            "name: out, slot: 8",
            "      - { name: out",
            f"out of scale has slot: 8 and no gate (expected slot: 1 and no gate, as at {KERNEL}:6:15)",
        ),
        (", gate: wide, dummy: out", "", "      - { name: more", "(expected slot: 3, gate: wide, as at"),
        (
            "slot: 1, role: output }",
            "slot: 1, role: output, gate: wide, dummy: in }",
            "      - { name: out",
            "has slot: 1, gate: wide (expected slot: 1 and no gate",
        ),
        (
            "slot: 0, role: input",
            "slot: 0, role: inout",
            "      - { name: in,",
            "in of scale is called an inout, and upstream reads it only",
        ),
        (
            "      - { name: out, slot: 1, role: output }\n",
            "",
            "  - names: [scale]",
            f"the buffer out of scale, at {KERNEL}:6:15, is not described "
            "(expected { name: out, slot: 1, role: <output or inout> })",
        ),
    ],
)
def test_a_wrong_interface(small, edited: Edited, complain, old: str, new: str, at: str, message: str) -> None:
    if "name: put" in new:  # the right name is missing then, too
        wrong, missing = told(small(), edited(SCALE_YAML, old, new))
        assert message in f"{wrong.what} (expected {wrong.expected})"
        assert "the buffer out of scale" in missing.what
        assert wrong.where == f"specs/family.yaml:{line_of(SCALE_YAML.replace(old, new), at)}"
    else:
        complain(SCALE_YAML, old, new, at, message)


def test_a_kernel_that_is_not_described(small, edited: Edited) -> None:
    row = "  - names: [blank]\n    arguments: [{ name: out, slot: 0, role: output }]\n"
    table = "    - { kernel: blank, grammar: blank, arguments: [] }\n"
    kernel, missing = told(small(), edited(FOLD_YAML.replace(table, ""), row, ""))
    assert kernel.what == f"the kernel blank, which upstream defines at {FOLD}:15:1, is not described"
    assert kernel.expected == (
        "under kernels: \n  - names: [blank]\n    arguments:\n      - { name: out, slot: 0, role: <output or inout> }"
    )
    assert kernel.where == f"specs/family.yaml:{line_of(FOLD_YAML, 'kernels:' + chr(10) + '  - names: [count]')}"
    assert "lacks 1 host names (blank)" in missing.what


def test_a_kernel_that_upstream_lacks(complain) -> None:
    complain(
        FOLD_YAML,
        "names: [blank]",
        "names: [blank, gone]",
        "  - names: [blank, gone]",
        "no file of sources.kernels defines a kernel gone (expected one of count, fold, blank)",
    )


def test_a_kernel_that_no_table_instantiates_says_so(small, edited: Edited) -> None:
    sources = small({FOLD: ('instantiate_kernel("blank", blank)\n', "")})
    yaml = FOLD_YAML.replace("    - { kernel: blank, grammar: blank, arguments: [] }\n", "")
    (error,) = told(sources, edited(yaml))
    assert (error.what, error.expected) == ("upstream's table instantiates no blank", "on_demand: true in its row")
    assert told(sources, edited(yaml, "names: [blank]\n", "names: [blank]\n    on_demand: true\n")) == []


def test_the_number_of_template_arguments_without_upstreams_table(small, edited: Edited) -> None:
    (error,) = told(small(without=(TABLE, FOLD)), edited(SCALE_YAML, "arguments: [T, n, flip]", "arguments: [T]"))
    assert (error.what, error.expected) == ("scale takes other template parameters", "typename T, int N, bool flip")


# ---------------------------------------------------------------------------------------------------------------------
# Constants and params structs


@pytest.mark.parametrize(
    ("yaml", "old", "new", "at", "message"),
    [
        (
            SCALE_YAML,
            "index: 7",
            "index: 8",
            "  - { name: wide",
            f"wide is bool with index 8 (expected bool with index 7, as at {KERNEL}:2:15)",
        ),
        (FOLD_YAML, "type: int, kernels", "kernels", "  - { name: width", "(expected int with index 8"),
        (
            FOLD_YAML,
            "kernels: [count] }\nexcluded",
            "kernels: [fold] }\nexcluded",
            "  - { name: width",
            "the kernel count reads width, and is not among the constant's kernels (expected kernels: [fold, count])",
        ),
        (
            SCALE_YAML,
            'params: ["outer::inner::ScaleParams"]',
            'params: ["outer::ScaleParams"]',
            'params: ["outer',
            "upstream defines no struct outer::ScaleParams (expected outer::inner::ScaleParams)",
        ),
        (FOLD_YAML, '"Shape<3>"', '"Form<3>"', "params: [", "upstream defines no struct Form<3>"),
    ],
)
def test_a_wrong_constant_or_struct(complain, yaml: str, old: str, new: str, at: str, message: str) -> None:
    if "[fold] }\nexcluded" in new:  # the sample goes with it
        yaml, old, new = yaml.replace("kernels: [count], constants", "kernels: [fold], constants"), old, new
    complain(yaml, old, new, at, message)


def test_a_constant_that_is_not_lowered(small, edited: Edited) -> None:
    yaml = SCALE_YAML.replace("constants:\n  - { name: wide, index: 7, lower: template, suffix: wi }", "constants: []")
    gate, constant = told(small(), edited(yaml, ", gate: wide, dummy: out", ""))
    assert gate.expected == f"slot: 3, gate: wide, as at {KERNEL}:8:21"
    assert constant.what == f"the function constant wide at {KERNEL}:2:15 is not lowered"
    assert constant.expected == "under constants: { name: wide, index: 7, lower: <template with suffix, or define> }"
    assert constant.where == f"specs/family.yaml:{line_of(yaml, 'constants: []')}"


def test_a_constant_that_upstream_lacks(complain) -> None:
    complain(
        SCALE_YAML,
        "suffix: wi }\n",
        "suffix: wi }\n  - { name: high, index: 9, lower: define }\n",
        "  - { name: high",
        "upstream has no function constant high (expected one of wide)",
    )


def test_a_comment_reads_no_constant(small, edited: Edited) -> None:
    sources = small({FOLD: ("  out[at] = in[at * N]", "  // not width\n  out[at] = in[at * N]")})
    assert told(sources, edited(FOLD_YAML)) == []


# ---------------------------------------------------------------------------------------------------------------------
# Files


@pytest.mark.parametrize(("path", "key"), [(KERNEL, "  kernels: ["), (BASE, "    - mlx/k/base.h"), (TABLE, "  table:")])
def test_a_file_that_upstream_lacks(small, edited: Edited, path: str, key: str) -> None:
    gone = path.replace("mlx/k/", "mlx/gone/")
    family = edited(SCALE_YAML, path, gone)
    with pytest.raises(SpecError, match=f"upstream has no file {gone} at revision 000000000000") as caught:
        told(small(), family)
    assert caught.value.where == f"specs/family.yaml:{line_of(SCALE_YAML, key)}"


@pytest.mark.parametrize(
    ("edit", "at", "message"),
    [
        (
            ("", '#include "mlx/k/params.h"\n'),
            "  preamble:",
            "includes other files before its kernels, or in another order "
            "(expected preamble: [mlx/k/base.h, mlx/k/params.h])",
        ),
        (
            (None, '#include "mlx/k/params.h"\n'),
            "  kernels: [",
            "includes a preamble's file behind one of the family's kernels "
            "(expected in its order: mlx/k/base.h, mlx/k/scale.h, mlx/k/params.h)",
        ),
        (("", "#include <metal_math>\n"), None, ""),
    ],
)
def test_what_the_table_includes(
    small, scale: Family, edit: tuple[str | None, str], at: str | None, message: str
) -> None:
    where = '#include "mlx/k/scale.h"\n'
    new = where + edit[1] if edit[0] is None else edit[1] + where
    errors = told(small({TABLE: (where, new)}), scale)
    if at is None:
        assert errors == []
        return
    (error,) = errors
    assert message in f"{error.what} (expected {error.expected})"
    assert error.where == f"specs/family.yaml:{line_of(SCALE_YAML, at)}"


def test_a_header_that_only_includes_the_kernels_counts_as_these(small, scale: Family) -> None:
    wrapped = small({TABLE: ('"mlx/k/scale.h"', '"mlx/k/base2.h"')})
    both = dataclasses.replace(wrapped.files[KERNEL], path="mlx/k/base2.h", text=f'// all\n#include "{KERNEL}"\n')
    pinned = dataclasses.replace(wrapped.pin.files[1], path="mlx/k/base2.h")
    files = tuple(sorted((*wrapped.pin.files, pinned), key=lambda one: one.path))
    sources = dataclasses.replace(
        wrapped, pin=dataclasses.replace(wrapped.pin, files=files), files={**wrapped.files, both.path: both}
    )
    assert told(sources, scale) == []


def test_a_kernels_file_without_a_kernel(complain) -> None:
    complain(
        FOLD_YAML,
        f"kernels: [{FOLD}]",
        f"kernels: [{FOLD}, {HOST}]",
        f"  kernels: [{FOLD}, {HOST}]",
        f"{HOST} defines no kernel",
    )


def test_a_table_of_kernels_that_stand_elsewhere(small, edited: Edited) -> None:
    sources = small(
        {
            BASE: ("#define EMPTY", "#define EMPTY\ntemplate <typename T> [[kernel]] void spare(device T* x) {}"),
            FOLD: ('instantiate_kernel("blank"', 'instantiate_kernel("spare", spare, int)\ninstantiate_kernel("blank"'),
        }
    )
    first, *_ = told(sources, edited(FOLD_YAML))
    assert first.what == f"upstream's table instantiates spare, which {BASE} defines"
    assert first.expected == f"sources.kernels that name {BASE}"


def test_the_first_problem_is_raised_and_the_rest_is_counted(small, edited: Edited) -> None:
    family = edited(SCALE_YAML.replace("index: 7", "index: 8"), "name: out, slot: 1", "name: out, slot: 8")
    with pytest.raises(SpecError, match=r"check_family scale` lists all 2 problems"):
        read_corpus(small(), (family,))
