# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Which products of a function's IR become one call of the runtime, and what moves where."""

from __future__ import annotations

from porter.metal.matrix_lowering import Batches


def product(result, a, b, c):
    call = f"call double @msl_matrix_multiply_accumulate(double noundef {a}, double noundef {b}, double noundef {c}) #4"
    return f"  {result} = tail {call}"


def lower(*lines, enabled=True):
    """(products in each batch, the lowered lines)."""
    batches = Batches(enabled=enabled)
    lowered = batches.lower(["define void @f(double %a, double %b, double %c, ptr %p) {", *lines, "  ret void", "}"])
    assert not any("@msl_matrix_multiply_accumulate" in line for line in lowered)
    return batches.sizes, [line.strip() for line in lowered]


def place(lowered, start):
    (found,) = (i for i, line in enumerate(lowered) if line.startswith(start))
    return found


def test_independent_and_chained_products_are_one_batch():
    sizes, lowered = lower(
        product("%x", "%a", "%b", "%c"),
        product("%y", "%a", "%a", "%b"),
        product("%z", "%b", "%b", "%x"),
        "  store double %z, ptr %p",
    )
    assert sizes == [3]
    # Operands are stored once each, and only what is needed outside is loaded.
    assert sum(line.startswith("store double %") and "%msl" in line for line in lowered) == 3
    assert [line.split(" = ")[0] for line in lowered if " = load double" in line] == ["%z"]


def test_slots_of_a_chain():
    batches = Batches(enabled=True)
    batches.lower([product("%x", "%a", "%b", "%c"), product("%y", "%b", "%b", "%x"), "  store double %y, ptr %p"])
    # Slots: a 0, b 1, c 2. The first result takes c's place, the second the first's: (d, a, b, c) twice.
    assert "[i16 2, i16 0, i16 1, i16 2, i16 2, i16 1, i16 1, i16 2]" in batches.declarations()


def test_an_operand_that_is_read_again_keeps_its_slot():
    batches = Batches(enabled=True)
    batches.lower([product("%x", "%a", "%b", "%a"), product("%y", "%a", "%b", "%x"), "  store double %y, ptr %p"])
    assert "[i16 2, i16 0, i16 1, i16 0, i16 2, i16 0, i16 1, i16 2]" in batches.declarations()


def test_an_instruction_that_needs_a_result_ends_a_batch():
    sizes, lowered = lower(
        product("%x", "%a", "%b", "%c"),
        "  %twice = fadd double %x, %x",
        product("%y", "%a", "%b", "%twice"),
        "  store double %y, ptr %p",
    )
    assert sizes == [1, 1]
    assert place(lowered, "%x = load") < place(lowered, "%twice") < place(lowered, "%y = load")


def test_a_barrier_a_block_and_a_meeting_end_a_batch():
    for line in (
        "  call void @msl_threadgroup_barrier() #6",
        "  call void @msl_simdgroup_meet(ptr @operation, ptr %p) #6",
        "v7:                                               ; preds = %v2",
    ):
        sizes, _ = lower(
            product("%x", "%a", "%b", "%c"), line, product("%y", "%a", "%b", "%c"), "  store double %x, ptr %p"
        )
        assert sizes == [1, 1], line


def test_loads_and_stores_between_products_do_not():
    sizes, lowered = lower(
        product("%x", "%a", "%b", "%c"),
        "  %d = load double, ptr %p",
        "  store double %a, ptr %p",
        product("%y", "%d", "%b", "%x"),
        "  store double %y, ptr %p",
    )
    assert sizes == [2]
    assert place(lowered, "%d = load") < place(lowered, "call void @msl_matrix_run")


def test_a_value_taken_apart_and_put_together_is_the_value():
    sizes, lowered = lower(
        product("%x", "%a", "%b", "%c"),
        "  %l = bitcast double %x to <2 x float>",
        "  %r = bitcast double %x to <2 x float>",
        "  %both = shufflevector <2 x float> %l, <2 x float> %r, <2 x i32> <i32 0, i32 3>",
        "  %whole = bitcast <2 x float> %both to double",
        product("%y", "%a", "%b", "%whole"),
        "  store double %y, ptr %p",
    )
    assert sizes == [2]
    assert not any("shufflevector" in line or "bitcast" in line for line in lowered)  # nobody needs them any more


def test_a_value_whose_halves_are_swapped_is_another():
    sizes, _ = lower(
        product("%x", "%a", "%b", "%c"),
        "  %l = bitcast double %x to <2 x float>",
        "  %swapped = shufflevector <2 x float> %l, <2 x float> poison, <2 x i32> <i32 1, i32 0>",
        "  %whole = bitcast <2 x float> %swapped to double",
        product("%y", "%a", "%b", "%whole"),
        "  store double %y, ptr %p",
    )
    assert sizes == [1, 1]


def test_what_takes_a_result_apart_moves_behind_the_batch_but_not_before_what_it_needs():
    _, lowered = lower(
        product("%x", "%a", "%b", "%c"),
        "  %l = bitcast double %x to <2 x float>",
        "  %first = extractelement <2 x float> %l, i64 0",
        product("%y", "%a", "%b", "%c"),
        "  %other = load float, ptr %p",
        "  %mixed = insertelement <2 x float> %l, float %other, i64 1",
        "  store <2 x float> %mixed, ptr %p",
        "  store float %first, ptr %p",
        "  store double %y, ptr %p",
    )
    run = place(lowered, "call void @msl_matrix_run")
    assert run < place(lowered, "%x = load") < place(lowered, "%l = ") < place(lowered, "%first = ")
    assert place(lowered, "%other = ") < place(lowered, "%mixed = ") < place(lowered, "store <2 x float> %mixed")


def test_without_batching_every_product_stands_alone():
    lines = [product("%x", "%a", "%b", "%c"), product("%y", "%a", "%b", "%x"), "  store double %y, ptr %p"]
    assert lower(*lines, enabled=False)[0] == [1, 1]
    assert lower(*lines)[0] == [2]


def test_a_batch_has_no_more_than_the_runtimes_slots():
    lines = [product(f"%r{i}", "%a", "%b", f"%r{i - 1}" if i else "%c") for i in range(300)]
    sizes, _ = lower(*lines, "  store double %r299, ptr %p")
    assert sum(sizes) == 300
    assert max(sizes) * 4 <= 512
