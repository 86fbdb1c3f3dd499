# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
from pathlib import Path

import pytest

from porter.emit import flattened, instantiation, overlay_name, ported_argument, ported_host_names
from porter.emit.names import full_arguments, guard, namespace
from porter.errors import EmitError
from porter.model import Instantiation, LeftOut
from porter.port.target import load_target
from tests.emit.conftest import FAMILIES, FILES, ROWS, SCALE, TEMPLATES, TURN, K, family, overlay_of

TARGET = load_target()
BY_NAME = {one.name: one for one in TEMPLATES}


def code(text: str) -> list[str]:
    """The lines that are no comment."""
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("//")]


def test_every_family_has_its_files(overlay: dict[str, str]) -> None:
    assert sorted(overlay) == [
        "LICENSES/BSD-3-Clause.txt",
        "LICENSES/MIT.txt",
        "NOTICE",
        "REUSE.toml",
        "kernels/MlxBase.h",
        "kernels/MlxScale.h",
        "kernels/MlxScale.metal",
        "kernels/MlxTurn.h",
        "kernels/MlxTurn.metal",
        "kernels/Steel.LICENSE",
        "operations/MlxScaleSource.h",
        "operations/MlxScaleTable.h",
        "operations/MlxTurnSource.h",
        "operations/MlxTurnTable.h",
        "provenance/MlxBase.h.json",
        "provenance/MlxScale.h.json",
        "provenance/MlxTurn.h.json",
    ]


def test_one_line_a_host_name_and_one_kernel_a_combination(overlay: dict[str, str]) -> None:
    assert code(overlay["kernels/MlxScale.metal"]) == [
        "#ifdef STEEL_PORT_PRECOMPILE",
        "#include <ATen/native/mps/kernels/MlxScale.h>",
        "#define INSTANTIATE_KERNEL(host, function, ...) \\",
        "  template [[host_name(host)]] [[kernel]] decltype(function<__VA_ARGS__>) function<__VA_ARGS__>;",
        "#define INSTANTIATE_SCALE(host, ...) \\",
        '  INSTANTIATE_KERNEL(host "_fl0_ot0", scale, __VA_ARGS__, false, false) \\',
        '  INSTANTIATE_KERNEL(host "_fl0_ot1", scale, __VA_ARGS__, false, true) \\',
        '  INSTANTIATE_KERNEL(host "_fl1_ot1", scale, __VA_ARGS__, true, true)',
        'INSTANTIATE_SCALE("scale_bf16", bfloat, 8, pair<bfloat, 8>)',
        'INSTANTIATE_SCALE("scale_f32", float, 4, pair<float, 4>)',
        'INSTANTIATE_KERNEL("shift_c64", shift, complex64)',
        "#endif // STEEL_PORT_PRECOMPILE",
    ]
    assert "have its 7 kernels in a metallib" in overlay["kernels/MlxScale.metal"]
    assert "// later is instantiated on demand" in overlay["kernels/MlxScale.metal"]


def test_macros_are_asked_for_apart(overlay: dict[str, str]) -> None:
    text = overlay["kernels/MlxTurn.metal"]
    assert code(text)[0] == "#ifdef STEEL_PORT_PRECOMPILE_TURN"
    assert code(text)[-2:] == [
        'INSTANTIATE_KERNEL("twist_float", twist, float)',
        "#endif // STEEL_PORT_PRECOMPILE_TURN",
    ]
    assert "//   STEEL_PORT_STEPS\n" in text
    assert "their host names are their own:\n//   turn\n" in text


def test_bodies_of_a_metal_file_are_ported_and_nothing_else_of_it(overlay: dict[str, str]) -> None:
    header = overlay["kernels/MlxTurn.h"]
    assert "constexpr constant int steps_ = STEEL_PORT_STEPS;" in header
    assert "turn.metal, lines 1-" in header
    assert "instantiate" not in header
    assert "twists" not in header


def test_the_hosts_table(overlay: dict[str, str]) -> None:
    lines = code(overlay["operations/MlxScaleTable.h"])
    assert "namespace at::native::mps::mlx::scale {" in lines
    start = lines.index("inline constexpr std::array<Instantiation, 3> kInstantiations{{")
    assert lines[start + 1 :] == [
        '    { "scale_bf16", "scale", "bfloat, 8, pair<bfloat, 8>" },',
        '    { "scale_f32", "scale", "float, 4, pair<float, 4>" },',
        '    { "shift_c64", "shift", "complex64" },',
        "}};",
        "inline constexpr std::array<Constant, 2> kConstants{{",
        '    { "flag", "fl", "", true, "scale" },',
        '    { "other", "ot", "", true, "scale" },',
        "}};",
        "} // namespace at::native::mps::mlx::scale",
    ]
    turn = overlay["operations/MlxTurnTable.h"]
    assert '    { "turn", "turn", "" },\n' in turn
    assert '    { "steps_", "", "STEEL_PORT_STEPS", false, "turn,twist" },\n' in turn


def test_the_run_time_source_is_the_headers_flattened(overlay: dict[str, str], tmp_path: Path) -> None:
    for path, text in overlay.items():
        place = tmp_path / "pytorch/aten/src/ATen/native/mps" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for one in FAMILIES:
        text = overlay[f"operations/{overlay_name(one)}Source.h"]
        source = text.partition('R"METAL(\n')[2].partition(')METAL"')[0]
        assert source == flattened(tmp_path, TARGET, one)
        assert source.isascii()
    assert '"STEEL_PORT_STEPS",' in overlay["operations/MlxTurnSource.h"]
    assert "std::array<const char*, 0> kMacros{};" in overlay["operations/MlxScaleSource.h"]


def test_an_overlay_without_the_family(tmp_path: Path) -> None:
    with pytest.raises(EmitError, match=r"MlxScale\.h: the overlay lacks the family's headers"):
        flattened(tmp_path, TARGET, SCALE)


def test_bodies_that_did_not_come_are_named_and_the_rest_is_made() -> None:
    whole = {file.path: file.text for file in overlay_of(FILES).files}
    part = overlay_of({path: text for path, text in FILES.items() if "turn" not in path})
    assert part.left_out == (LeftOut("turn", (K + "turn.metal",)),)
    assert not any("MlxTurn" in file.path for file in part.files)
    assert {file.path: file.text for file in part.files}.items() < whole.items()
    assert any("MlxScale.metal" in file.path for file in part.files)


def test_two_families_may_not_make_one_file() -> None:
    with pytest.raises(EmitError, match=r"MlxScale\.metal: two families make this file"):
        overlay_of(FILES, (SCALE, SCALE))


def test_a_left_out_argument_without_a_default() -> None:
    row = Instantiation("scale_none", "scale", (), ROWS[0].origin, "scale")
    with pytest.raises(EmitError, match="scale_none leaves the template argument T of scale open"):
        full_arguments(SCALE, row, BY_NAME)


def test_ported_host_names() -> None:
    names = ported_host_names(SCALE, [ROWS[1]], BY_NAME)
    assert names["scale_bf16_fl0_ot1"] == ("scale_bf16", ("bfloat16_t", "8", "pair<bfloat16_t, 8>", "false", "true"))
    assert len(names) == 3
    assert ported_host_names(TURN, [ROWS[3]], BY_NAME) == {"turn": ("turn", ())}


def test_names() -> None:
    assert overlay_name(family("steel_x", (), table=K + "steel/gemm/kernels/steel_x.metal")) == "SteelX"
    assert overlay_name(family("hadamard", (), table=None)) == "MlxHadamard"
    assert namespace(family("steel_x", ()), TARGET) == "at::native::mps::steel::x"
    assert namespace(SCALE, TARGET) == "at::native::mps::mlx::scale"
    assert (guard(SCALE), guard(TURN)) == ("STEEL_PORT_PRECOMPILE", "STEEL_PORT_PRECOMPILE_TURN")
    assert ported_argument("ArgMin<bfloat16_t>", TARGET) == "ArgMin<bfloat>"


def test_the_line_that_instantiates() -> None:
    assert instantiation("a_1", "k", ["float", "1"]) == (
        'template [[host_name("a_1")]] [[kernel]] decltype(k<float, 1>) k<float, 1>;\n'
    )
    assert instantiation("k", "k", []) == ""
