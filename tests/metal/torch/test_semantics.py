# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What libtorch's semantics cost can be switched off, each by its name; never otherwise, and not for longer."""

from __future__ import annotations

import threading

import pytest
import torch

import porter.metal.torch as mt
from porter.metal.torch import semantics


@pytest.fixture
def cell(ops) -> torch.Tensor:
    torch.mps.synchronize()  # ends the encoder, and with it what earlier tests bound
    return torch.zeros(1, dtype=torch.int32, device="mps")


def test_every_name_is_tested_here() -> None:
    assert set(semantics.COSTS) == {
        "serial_queue", "sticky_bindings", "shared_encoder", "unlocked_lookups", "bytes_limit", "ascii_source",
    }  # fmt: skip


def test_an_unknown_name(ops) -> None:
    with pytest.raises(ValueError, match=r"unknown stock semantics cache; there are serial_queue, "):
        mt.without_stock_semantics({"cache"}).__enter__()


def test_the_serial_queue(ops, cell) -> None:
    with pytest.raises(RuntimeError, match="deadlock"):
        ops.misuse("nested", cell)
    with mt.without_stock_semantics({"serial_queue"}):
        ops.misuse("nested", cell)
        assert ops.blocks_meet(True)
    with pytest.raises(RuntimeError, match="deadlock"):
        ops.misuse("nested", cell)
    assert not ops.blocks_meet(False)


def test_sticky_bindings(ops) -> None:
    first, second = torch.zeros(1, device="mps"), torch.zeros(1, device="mps")
    with mt.without_stock_semantics({"sticky_bindings"}):
        ops.run_with("store", 0, [first, torch.tensor(4.0)])
        with pytest.raises(RuntimeError, match="was never bound"):
            ops.run_with("store", 0, [second])
    ops.run_with("store", 0, [first, torch.tensor(4.0)])
    ops.run_with("store", 0, [second])
    assert second.item() == 4.0


def test_the_shared_encoder(ops, cell) -> None:
    with pytest.raises(RuntimeError, match="bump is dispatched while the encoder is set to nothing"):
        ops.misuse("other pipeline", cell)
    with mt.without_stock_semantics({"shared_encoder"}):
        ops.misuse("other pipeline", cell)
    assert cell.item() == 1
    with mt.without_stock_semantics({"shared_encoder"}), pytest.raises(RuntimeError, match="was never bound"):
        ops.run_with("bump", 0, [])  # an encoder of its own has nothing bound


def test_unlocked_lookups(ops) -> None:
    mt.detect_lookup_races(hold_ms=100)
    try:
        with mt.without_stock_semantics({"unlocked_lookups"}):
            ops.fresh_library()
            errors: list[Exception] = []

            def look_up(name: str) -> None:
                try:
                    ops.look_up(name)
                except RuntimeError as error:
                    errors.append(error)

            threads = [threading.Thread(target=look_up, args=(name,)) for name in ("scale", "count", "bump", "store")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert errors == []
    finally:
        mt.detect_lookup_races(False)


def test_the_limit_of_bytes(ops) -> None:
    with mt.without_stock_semantics({"bytes_limit"}):
        ops.set_bytes(0, 1 << 20)
    with pytest.raises(RuntimeError, match="at most 4096"):
        ops.set_bytes(0, 4097)


def test_ascii_source(ops, compiler) -> None:
    with mt.without_stock_semantics({"ascii_source"}):
        ops.compile("// \u00a9 somebody\n")
    assert compiler.sources[-1] == "// \u00a9 somebody\n"
    with pytest.raises(RuntimeError, match="must be ASCII"):
        ops.compile("// \u00a9 somebody else\n")


def test_an_inner_block_replaces_an_outer_one(ops) -> None:
    with mt.without_stock_semantics({"bytes_limit"}):
        with mt.without_stock_semantics(set()), pytest.raises(RuntimeError, match="at most 4096"):
            ops.set_bytes(0, 4097)
        ops.set_bytes(0, 4097)
