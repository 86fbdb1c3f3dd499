# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""MetalKernelFunction: what it runs, and what it refuses as libtorch or Metal would."""

from __future__ import annotations

import threading

import pytest
import torch

import porter.metal.torch as mt


@pytest.fixture
def cell() -> torch.Tensor:
    return torch.zeros(1, dtype=torch.int32, device="mps")


@pytest.fixture(autouse=True)
def fresh_encoder(ops) -> None:
    torch.mps.synchronize()  # ends the encoder, and with it what earlier tests bound


def test_a_kernel_runs_through_the_glue(ops) -> None:
    values = torch.arange(1000.0)
    assert torch.equal(ops.scale(values.to("mps"), 2.5).cpu(), values * 2.5)


def test_the_storage_offset_is_honoured(ops) -> None:
    values = torch.arange(10.0)
    assert torch.equal(ops.scale(values.to("mps")[4:], 1.0).cpu(), values[4:])


def test_dispatch_counts_threads_not_threadgroups(ops) -> None:
    out = torch.zeros(2, 3, 5, dtype=torch.int32, device="mps")
    with mt.record_dispatches() as dispatches:
        ops.dispatch(out, "count", [5, 3, 2], [4, 2, 1])
    assert out.cpu().unique().tolist() == [81]
    assert dispatches == [mt.Dispatch("count", (5, 3, 2), (4, 2, 1))]


def test_default_threadgroups(ops) -> None:
    out = torch.zeros(100, dtype=torch.int32, device="mps")
    with mt.record_dispatches() as dispatches:
        ops.dispatch_1d(out, "count", 10, None)  # the length, where it is below the pipeline's limit of 64
        ops.dispatch_1d(out, "count", 100, None)  # else the limit
        ops.dispatch(out, "count", [10, 2], None)  # in several dimensions always the limit
    assert [dispatch.group for dispatch in dispatches] == [(10, 1, 1), (64, 1, 1), (64, 1, 1)]
    assert [dispatch.threads for dispatch in dispatches] == [(10, 1, 1), (100, 1, 1), (10, 2, 1)]


@pytest.mark.parametrize(
    ("threads", "group", "error", "message"),
    [
        ([65], [65], ValueError, "Threadgroup size exceeds 64 limit"),
        ([65, 1], [13, 5], ValueError, "Threadgroup size exceeds 64 limit"),
        ([8, 8], [1 << 32, 1 << 32], ValueError, "Threadgroup size exceeds 64 limit"),
        ([], None, RuntimeError, "Dispatch dimensions must be less than 3 and non-empty"),
        ([1, 1, 1, 1], None, RuntimeError, "Dispatch dimensions must be less than 3 and non-empty"),
        ([4, 4], [4], RuntimeError, "size and group_size must have same number of dimensions"),
        ([4, 0], [4, 1], RuntimeError, "empty grid"),
        ([4], [0], RuntimeError, "threadgroup of 0x1x1"),
    ],
)
def test_sizes_that_are_refused(ops, cell, threads, group, error, message) -> None:
    with pytest.raises(error, match=message):
        ops.dispatch(cell, "count", threads, group)


def test_one_dimensional_sizes_that_are_refused(ops, cell) -> None:
    with pytest.raises(ValueError, match="Threadgroup size exceeds 64 limit"):
        ops.dispatch_1d(cell, "count", 65, 65)
    with pytest.raises(RuntimeError, match="empty grid"):
        ops.dispatch_1d(cell, "count", 0, None)


def test_properties_of_a_pipeline(ops) -> None:
    assert ops.properties("count") == [64, 32, 0]
    assert ops.properties("store") == [1024, 32, 16]


def test_bytes_by_value(ops) -> None:
    ops.set_bytes(30, 4096)
    with pytest.raises(RuntimeError, match="at most 4096"):
        ops.set_bytes(0, 4097)
    with pytest.raises(RuntimeError, match="Expected size > 0"):
        ops.set_bytes(0, 0)
    with pytest.raises(RuntimeError, match="buffer index 31"):
        ops.set_bytes(31, 4)
    with pytest.raises(RuntimeError, match="null"):
        ops.set_null()


def test_scalars_of_the_cpu_are_passed_by_value(ops) -> None:
    out = torch.zeros(1, device="mps")
    ops.run_with("store", 0, [out, torch.tensor(2.5)])
    assert out.item() == 2.5
    ops.run_with("store", 0, [out, torch.tensor(0.1, dtype=torch.float64)])
    assert out.item() == torch.tensor(0.1).item()
    with pytest.raises(RuntimeError, match="Passed CPU tensor to MPS op"):
        ops.run_with("store", 0, [out, torch.ones(1)])


def test_a_scalars_storage_offset_is_lost_as_in_libtorch(ops) -> None:
    out = torch.zeros(1, device="mps")
    ops.run_with("store", 0, [out, torch.tensor([1.0, 2.0])[1]])
    assert out.item() == 1.0


def test_tensors_of_other_devices_are_refused(ops) -> None:
    with pytest.raises(RuntimeError, match="on meta"):
        ops.run_with("bump", 0, [torch.empty(1, device="meta")])


def test_an_argument_that_was_never_bound(ops) -> None:
    with pytest.raises(RuntimeError, match=r"kernel store, argument value .* at \[\[buffer\(1\)\]\] was never bound"):
        ops.run_with("store", 0, [torch.zeros(1, device="mps")])


def test_bindings_stay_from_kernel_to_kernel(ops) -> None:
    first, second = torch.zeros(1, device="mps"), torch.zeros(1, device="mps")
    ops.run_with("store", 0, [first, torch.tensor(4.0)])
    ops.run_with("store", 0, [second])  # slot 1 still holds 4.0
    assert second.item() == 4.0
    with pytest.raises(RuntimeError, match="never bound"):
        ops.run_with("store", 0, [second])  # item() has ended the encoder


def test_poisoned_bindings_are_found(ops) -> None:
    first, second = torch.zeros(1, device="mps"), torch.zeros(1, device="mps")
    mt.poison_bindings()
    try:
        ops.run_with("store", 0, [first, torch.tensor(4.0)])
        with pytest.raises(RuntimeError, match=r"kernel store, argument value .* was not bound since startEncoding"):
            ops.run_with("store", 0, [second])
    finally:
        mt.poison_bindings(False)
    assert first.item() == 4.0


def test_empty_data_is_refused(ops) -> None:
    with pytest.raises(RuntimeError, match="bound to no data"):
        ops.run_with("bump", 0, [torch.empty(0, dtype=torch.int32, device="mps")])
    ops.run_with("nothing", 0, [torch.empty(0, device="mps")])
    with pytest.raises(RuntimeError, match="bound to no data"):
        ops.run_with("bump", 0, [torch.zeros(3, dtype=torch.int32, device="mps")[3:]])


def test_a_buffer_smaller_than_what_the_kernel_declares(ops) -> None:
    with pytest.raises(RuntimeError, match=r"argument out .* needs 4 bytes and has 2"):
        ops.run_with("bump", 0, [torch.zeros(1, dtype=torch.int16, device="mps")])


def test_offsets_are_aligned(ops) -> None:
    bytes_ = torch.zeros(16, dtype=torch.uint8, device="mps")
    with pytest.raises(RuntimeError, match="multiple of 4 but is 2"):
        ops.run_with("bump", 0, [bytes_[2:]])
    with pytest.raises(RuntimeError, match="multiple of 4 but is 2"):
        ops.run_with("halves", 0, [bytes_[2:]])  # of half, but in the constant address space
    ops.run_with("halves", 0, [bytes_[4:]])


def test_threadgroup_arguments_cannot_be_set(ops) -> None:
    with pytest.raises(RuntimeError, match="threadgroup memory"):
        ops.run_with("dynamic", 0, [])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("start outside", "outside of runCommandBlock"),
        ("setArg outside", "outside of runCommandBlock"),
        ("no start", "before startEncoding"),
        ("dispatch without start", "before startEncoding"),
        ("encoder ended", "encoder that has ended"),
        ("nested", "deadlock"),
        ("copy inside", "deadlock"),
        ("item inside", "deadlock"),
        ("other pipeline", "bump is dispatched while the encoder is set to nothing"),
        ("throw", "from the block"),
    ],
)
def test_misuse(ops, cell, how, message) -> None:
    with pytest.raises(Exception, match=message):
        ops.misuse(how, cell)
    ops.run_with("bump", 0, [cell])  # and the queue is free again
    assert cell.item() == 1


def test_a_bound_buffer_outlives_its_tensor(ops, cell) -> None:
    before = torch.mps.current_allocated_memory()
    ops.misuse("temporary", cell)
    assert torch.mps.current_allocated_memory() == before


def test_command_blocks_of_threads_exclude_each_other(ops, cell) -> None:
    # The increment is no atomic operation: only the queue keeps it whole.
    rounds, workers = 300, 4

    def work() -> None:
        for _ in range(rounds):
            ops.run_with("bump", 0, [cell])

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cell.item() == rounds * workers
