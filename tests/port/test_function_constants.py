# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""How function constants are lowered, and what is refused with a word on what to write in the YAML."""

import pytest

from porter.errors import PortError
from porter.port.constants import definitions, macro_name, macros
from porter.port.rules.rule import Example
from porter.spec import Constant
from tests.port.test_rules import apply, rewritten

FLAG = "constant bool flag [[function_constant(7)]];\n"
KERNEL = "template <typename T>\n[[kernel]] void k(device T* x [[buffer(0)]]) {{\n  {}\n}}\n"
READS = "if (flag) return;"


def test_a_macro_gives_the_value() -> None:
    example = Example(FLAG + KERNEL.format(READS), "", lower="define")
    assert rewritten(example, "function-constants") == (
        "constexpr constant bool flag = STEEL_PORT_FLAG;\n" + KERNEL.format(READS)
    )


def test_a_declaration_by_a_macro_that_says_constexpr() -> None:
    text = "STEEL_CONST bool flag [[function_constant(7)]];\n"
    macros = (("STEEL_CONST", "static constant constexpr const"),)
    assert apply(text, lower="define", macros=macros).endswith(
        "\nstatic constant constexpr const bool flag = STEEL_PORT_FLAG;\n"
    )


def test_helpers_may_read_what_a_macro_gives() -> None:
    text = FLAG + "template <typename T>\nT f(T x) {\n  return flag ? x : T(0);\n}\n"
    assert "return flag ? x : T(0);" in apply(text, lower="define")


@pytest.mark.parametrize("lower", ["template", "define"])
@pytest.mark.parametrize(
    ("attributes", "ported"),
    [
        ("[[buffer(0), function_constant(flag)]]", "[[buffer(0)]]"),
        ("[[function_constant(flag), buffer(0)]]", "[[ buffer(0)]]"),
        ("[[function_constant(flag)]]", ""),
    ],
)
def test_gates_go(lower: str, attributes: str, ported: str) -> None:
    text = f"{FLAG}template <typename T>\n[[kernel]] void k(device T* x {attributes}) {{}}\n"
    assert f"void k(device T* x {ported}) {{}}" in apply(text, lower=lower)


def test_only_the_kernels_that_are_named_get_the_parameter() -> None:
    other = KERNEL.format("").replace("void k", "void other")
    assert apply(FLAG + other + KERNEL.format(READS)).count("bool flag>") == 1


@pytest.mark.parametrize("default", ["a<T>", "a<b<T>>", "(1 > 0)"])
def test_nested_default_arguments_do_not_end_the_parameter_list(default: str) -> None:
    text = (
        f"template <typename T, int N = (1 > 0), typename U = {default}>\n"
        "[[kernel]] void k(device T* x [[buffer(0)]]) {\n  if (flag) return;\n}\n"
    )
    assert f"typename U = {default},\n    bool flag>" in apply(FLAG + text)


def test_a_member_of_the_same_name_is_not_the_constant() -> None:
    text = FLAG + "bool f(P* p) {\n  return p->flag;\n}\n" + KERNEL.format(READS)
    assert "return p->flag;" in apply(text)


@pytest.mark.parametrize(
    ("text", "what", "expected"),
    [
        (FLAG + "bool f() { return flag; }\n" + KERNEL.format(READS), r"example\.h:2: .* is read outside", "define"),
        (FLAG + "#define F flag\n" + KERNEL.format(READS), r"example\.h:2: .* is read outside of a kernel", "define"),
        (
            FLAG + KERNEL.format(READS).replace("void k", "void other"),
            r"example\.h:4: kernel other reads the function constant flag",
            "other among `kernels` of flag",
        ),
        (
            FLAG + KERNEL.format(""),
            r"example\.h:2: kernel k does not read the function constant flag",
            "`kernels` of flag without k",
        ),
        (
            FLAG + "[[kernel]] void k(device int* x [[buffer(0)]]) {\n  if (flag) return;\n}\n",
            r"example\.h:2: kernel k is no template, so flag cannot become its parameter",
            "`lower: define`, without a suffix",
        ),
    ],
)
def test_what_cannot_become_a_template_parameter(text: str, what: str, expected: str) -> None:
    with pytest.raises(PortError, match=what) as caught:
        apply(text)
    assert expected in str(caught.value.expected)
    assert "YAML" in str(caught.value.next_step)


def test_a_kernel_that_reads_what_does_not_reach_it() -> None:
    """Its macro would have no value of the host's for that kernel."""
    text = FLAG + KERNEL.format(READS).replace("void k", "void other")
    with pytest.raises(PortError, match=r"example\.h:4: kernel other reads the function constant flag"):
        apply(text, lower="define")


def test_a_constant_that_no_family_lowers() -> None:
    with pytest.raises(PortError, match=r"example\.h:1: no family lowers the function constant other") as caught:
        apply("constant bool other [[function_constant(8)]];\n")
    assert "under `constants`" in str(caught.value.next_step)


def test_a_gate_that_no_family_lowers() -> None:
    with pytest.raises(PortError, match=r"no family lowers the function constant other"):
        apply("[[kernel]] void k(device int* x [[buffer(0), function_constant(other)]]) {}\n")


def test_a_declaration_that_is_not_understood() -> None:
    with pytest.raises(PortError, match=r"example\.h:1: a declaration of a function constant") as caught:
        apply("constant bool flag [[function_constant(7)]] = true;\n")
    assert caught.value.expected == "constant TYPE NAME [[function_constant(NUMBER)]];"


def test_macro_names() -> None:
    assert macro_name("has_w") == "STEEL_PORT_HAS_W"
    assert macro_name("elems_per_thread_") == "STEEL_PORT_ELEMS_PER_THREAD"


class _Family:
    """What `definitions` reads of a family."""

    constants = (
        Constant("inv_", 0, "define", "", "bool", ("fft", "other")),
        Constant("steps_", 1, "define", "", "int", ("fft",)),
        Constant("align", 2, "template", "al", "bool", ("fft",)),
    )

    def constants_of(self, kernel: str) -> tuple[Constant, ...]:
        return tuple(constant for constant in self.constants if kernel in constant.kernels)


def test_every_macro_is_defined_for_every_kernel() -> None:
    family = _Family()
    assert macros(family) == ("STEEL_PORT_INV", "STEEL_PORT_STEPS")  # type: ignore[arg-type]
    assert definitions(family, "fft", {"inv_": True, "steps_": 3, "align": True}) == (  # type: ignore[arg-type]
        "#define STEEL_PORT_INV true\n#define STEEL_PORT_STEPS 3\n"
    )
    assert definitions(family, "other", {"inv_": True}) == (  # type: ignore[arg-type]
        "#define STEEL_PORT_INV true\n#define STEEL_PORT_STEPS 0\n"
    )
