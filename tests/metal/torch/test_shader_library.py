# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MetalShaderLibrary and the classes derived from it: compiling, and looking kernels up."""

from __future__ import annotations

import threading

import pytest

import porter.metal.torch as mt


def test_names(ops) -> None:
    assert ops.names() == ["scale", "count", "store", "bump", "halves", "nothing", "dynamic", "greedy"]
    assert ops.has("scale")
    assert not ops.has("scal")


def test_an_unknown_name(ops) -> None:
    with pytest.raises(RuntimeError, match=r"Failed to create function state object for: absent \(expected .*"):
        ops.properties("absent")


def test_more_threadgroup_memory_than_the_device_has(ops) -> None:
    with pytest.raises(RuntimeError, match=r"Failed to created pipeline state object, error: .*32769"):
        ops.properties("greedy")


def test_source_that_does_not_compile(ops) -> None:
    with pytest.raises(SyntaxError, match="3:1: expected expression"):
        ops.compile("syntax error")


def test_a_compiler_that_fails(ops) -> None:
    with pytest.raises(RuntimeError, match="Failed to create metal library, error: the compiler is gone"):
        ops.compile("no compiler")


@pytest.mark.parametrize("stranger", ["\u00a9", "\0"])
def test_source_that_is_not_ascii(ops, compiler, stranger) -> None:
    before = len(compiler.sources)
    with pytest.raises(RuntimeError, match=r"Failed to create metal library, error: .* line 2 "):
        ops.compile(f"// one\n// {stranger}\n")
    assert len(compiler.sources) == before


def test_a_dynamic_library_compiles_at_once_and_as_written(ops, compiler) -> None:
    ops.compile("// {braces} stay\n")
    assert compiler.sources[-1] == "// {braces} stay\n"


def test_parameters_are_substituted(ops, compiler) -> None:
    before = len(compiler.sources)
    ops.compile_with("using A = {0}; using B = {1}; struct S {{}};", "float", "half")
    assert compiler.sources[before:] == ["using A = float; using B = half; struct S {};"]
    with pytest.raises(RuntimeError, match="argument not found"):
        ops.compile_with("{2}", "float", "half")


def test_an_unknown_name_is_answered_with_the_nearest(ops) -> None:
    with pytest.raises(RuntimeError, match=r"object for: Scale \(expected one like scale"):
        ops.properties("Scale")


def test_the_same_source_is_compiled_once(ops, compiler) -> None:
    before = len(compiler.sources)
    ops.compile("// once")
    ops.compile("// once")
    assert compiler.sources[before:] == ["// once"]


def test_what_is_no_compiled_library(ops, tmp_path) -> None:
    (tmp_path / "no.metallib").write_bytes(b"MTLB")
    for path in (tmp_path / "no.metallib", tmp_path / "absent"):
        with pytest.raises(RuntimeError, match="Failed to load metallib from '"):
            ops.precompiled(str(path))


def test_what_linux_has_not_is_named(ops) -> None:
    with pytest.raises(RuntimeError, match="MTLCompileOptions cannot be made from C\\+\\+ alone"):
        ops.absent("options")
    with pytest.raises(NotImplementedError, match="bundled Metal kernels are not available on Linux"):
        ops.absent("bundled")


def test_no_compiler_is_set(ops, compiler) -> None:
    mt._set_open_source(None)
    try:
        with pytest.raises(RuntimeError, match="Failed to create metal library, error: no Metal compiler is set"):
            ops.compile("")
    finally:
        mt._set_open_source(compiler)


def look_up_from_threads(ops, names: list[str]) -> list[str]:
    """Look all names up at once, each from a thread of its own; the messages of what was raised."""
    errors: list[str] = []
    barrier = threading.Barrier(len(names))

    def work(name: str) -> None:
        barrier.wait()
        try:
            ops.look_up(name)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_first_lookups_of_two_threads_are_found(ops) -> None:
    ops.fresh_library()
    mt.detect_lookup_races(hold_ms=200)
    try:
        errors = look_up_from_threads(ops, ["scale", "count"])
        assert len(errors) == 1
        assert "unlocked map" in errors[0]
        ops.look_up("scale")
        ops.look_up("count")
        assert look_up_from_threads(ops, ["scale", "count"]) == []  # later lookups only read
    finally:
        mt.detect_lookup_races(False)


def test_threads_may_compile_at_once(ops, compiler) -> None:
    # Each compile calls Python from a thread that let go of the GIL.
    before = len(compiler.sources)
    threads = [threading.Thread(target=ops.compile, args=(f"// {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(compiler.sources[before:]) == [f"// {number}" for number in range(4)]
