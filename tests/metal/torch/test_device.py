# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Tensors on the mps device: making, moving, viewing, resizing, and the CPU's kernels for the rest."""

from __future__ import annotations

import pytest
import torch

import porter.metal.torch as mt

pytestmark = pytest.mark.usefixtures("ops")

FLOAT64 = "doesn't support float64. Please use float32 instead"


def test_torch_sees_the_device() -> None:
    assert torch.backends.mps.is_available()
    assert torch.backends.mps.is_built()
    assert torch.mps.device_count() == 1
    assert torch.get_default_device().type == "cpu"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_there_and_back(dtype: torch.dtype) -> None:
    there = torch.arange(24).reshape(2, 3, 4).to(dtype)
    moved = there.to("mps")
    assert moved.device == torch.device("mps", 0)
    assert torch.equal(moved.cpu(), there)


def test_strides_and_offsets_survive_the_way() -> None:
    base = torch.arange(60.0).reshape(5, 12)
    moved = base.to("mps")[1:, 2::3].t()
    assert (moved.stride(), moved.storage_offset()) == ((3, 12), 14)
    assert torch.equal(moved.cpu(), base[1:, 2::3].t())


def test_conjugate_and_negative_views_are_resolved_by_a_copy() -> None:
    values = torch.tensor([1 + 2j, 3 - 4j])
    assert torch.equal(values.to("mps").conj().cpu(), values.conj())
    assert torch.equal(values.to("mps").conj().imag.cpu(), -values.imag)


def test_copy_casts() -> None:
    ones = torch.ones(3, dtype=torch.int32, device="mps")
    ones.copy_(torch.tensor([1.75, 2.5, -3.5], dtype=torch.float64))
    assert ones.tolist() == [1, 2, -3]
    assert ones.to("cpu", torch.float64).dtype == torch.float64


def test_views_share_memory() -> None:
    base = torch.zeros(4, 6, device="mps")
    base.view(24)[5] = 1.0
    base.t()[0].fill_(2.0)
    base.unfold(1, 2, 2)[3, 2] = 3.0
    expected = torch.zeros(4, 6)
    expected[0, 5], expected[:, 0], expected[3, 4:6] = 1.0, 2.0, 3.0
    assert torch.equal(base.cpu(), expected)


def test_resize_keeps_what_was_there() -> None:
    tensor = torch.arange(6.0).to("mps")
    tensor.resize_(2, 5)
    assert tensor.shape == (2, 5)
    assert tensor.flatten()[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_set_takes_another_storage() -> None:
    source = torch.arange(6.0).to("mps")
    tensor = torch.empty(0, device="mps").set_(source.untyped_storage(), 2, (2, 2), (2, 1))
    assert tensor.tolist() == [[2, 3], [4, 5]]
    tensor.set_()
    assert (tensor.shape, tensor.device.type) == ((0,), "mps")


def test_fresh_memory_is_not_zero() -> None:
    assert torch.isnan(torch.empty(1000, device="mps")).all()
    assert (torch.empty(1000, dtype=torch.int32, device="mps") == -1).all()


def test_host_code_gets_no_address() -> None:
    tensor = torch.ones(4, device="mps")
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        ranges = [line.split()[:2] for line in maps]
    (protection,) = [
        kind for span, kind in ranges if int(span.split("-")[0], 16) <= tensor.data_ptr() < int(span.split("-")[1], 16)
    ]
    assert protection == "---p"


def test_memory_is_given_back() -> None:
    before = torch.mps.current_allocated_memory()
    tensor = torch.empty(1000, device="mps")
    assert torch.mps.current_allocated_memory() == before + 4000
    del tensor
    assert torch.mps.current_allocated_memory() == before


def test_there_is_no_float64() -> None:
    double = torch.ones(2, dtype=torch.float64)
    single = torch.ones(2, device="mps")
    for attempt in (
        lambda: double.to("mps"),
        lambda: torch.empty(2, dtype=torch.float64, device="mps"),
        lambda: torch.empty_strided((2,), (1,), dtype=torch.float64, device="mps"),
        lambda: single.double(),
        lambda: single.sum(dtype=torch.float64),
    ):
        with pytest.raises(TypeError, match=FLOAT64):
            attempt()


def test_limits_of_the_device() -> None:
    with pytest.raises(TypeError, match="does not have support for that dtype"):
        torch.empty(2, dtype=torch.complex128, device="mps")
    with pytest.raises(RuntimeError, match="dimensions <= 16, but got 17"):
        torch.empty([1] * 17, device="mps")
    with pytest.raises(RuntimeError, match="out of memory"):
        torch.empty(1 << 55, device="mps")


def test_arithmetic_runs_on_the_cpus_kernels() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(3, 4)
    a_mps, b_mps = a.to("mps"), b.to("mps")
    product = 2.0 * (a_mps @ b_mps) - 1
    assert product.device.type == "mps"
    assert torch.equal(product.cpu(), 2.0 * (a @ b) - 1)
    a_mps += 1
    torch.add(a_mps, 1, out=a_mps)
    assert torch.equal(a_mps.cpu(), a + 2)


def test_tensors_print() -> None:
    assert str(torch.tensor([1.5, -2.0], device="mps")) == "tensor([ 1.5000, -2.0000], device='mps:0')"


def test_mixed_devices_are_refused() -> None:
    matrix = torch.ones(2, 2, device="mps")
    for attempt in (
        lambda: matrix @ torch.ones(2, 2),
        lambda: matrix + torch.ones(2),
        lambda: torch.cat([matrix, torch.ones(2, 2)]),
        lambda: torch.add(matrix, 1, out=torch.empty(2, 2)),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            attempt()


def test_scalars_and_indices_may_be_on_the_cpu() -> None:
    vector = torch.arange(4.0).to("mps")
    assert (vector * torch.tensor(2.0)).tolist() == [0, 2, 4, 6]
    assert vector[torch.tensor([3, 1])].tolist() == [3, 1]
    vector[torch.tensor([0])] = 9.0
    assert vector.tolist() == [9, 1, 2, 3]


def test_a_linear_layer_trains_as_on_the_cpu() -> None:
    torch.manual_seed(7)
    layer = torch.nn.Linear(8, 3)
    inputs, targets = torch.randn(16, 8), torch.randint(0, 3, (16,))
    losses = {}
    for device in ("cpu", "mps"):
        copy = torch.nn.Linear(8, 3)
        copy.load_state_dict(layer.state_dict())
        copy.to(device)
        optimizer = torch.optim.SGD(copy.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(copy(inputs.to(device)), targets.to(device))
            loss.backward()
            optimizer.step()
        losses[device] = (loss.item(), copy.weight.detach().cpu())
    # The same kernels on the same numbers in the same order, so the same bits.
    assert losses["mps"][0] == losses["cpu"][0]
    assert torch.equal(losses["mps"][1], losses["cpu"][1])


def test_state_is_saved(tmp_path) -> None:
    torch.save({"weight": torch.arange(4.0).to("mps")}, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", map_location="cpu")
    assert loaded["weight"].tolist() == [0, 1, 2, 3]


def test_the_mps_module(ops) -> None:
    torch.mps.synchronize()
    torch.mps.empty_cache()
    assert torch.mps.is_available()
    assert torch.mps.recommended_max_memory() > 1 << 30
    page = 4096
    before = torch.mps.driver_allocated_memory()
    tensor = torch.empty(page, dtype=torch.uint8, device="mps")
    assert torch.mps.driver_allocated_memory() - before == page
    del tensor


def test_a_memory_fraction_is_kept_to() -> None:
    torch.mps.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(torch.OutOfMemoryError, match=r"MPS backend out of memory .*max allowed"):
            torch.empty(1 << 30, device="mps")
    finally:
        torch.mps.set_per_process_memory_fraction(0.0)
    torch.empty(1 << 20, device="mps")


def test_events() -> None:
    start, end = torch.mps.Event(enable_timing=True), torch.mps.Event(enable_timing=True)
    start.record()
    end.record()
    end.wait()
    end.synchronize()
    assert end.query()
    assert start.elapsed_time(end) > 0
    with pytest.raises(RuntimeError, match="was not recorded after start event"):
        end.elapsed_time(start)
    untimed = torch.mps.Event()
    untimed.record()
    with pytest.raises(RuntimeError, match="not created with argument 'enable_timing=True'"):
        start.elapsed_time(untimed)
    with pytest.raises(RuntimeError, match="Invalid Event ID: 123456"):
        torch._C._mps_recordEvent(123456)


def test_events_of_any_accelerator() -> None:
    start, end = torch.Event("mps", enable_timing=True), torch.Event("mps", enable_timing=True)
    start.record()
    end.record()
    end.synchronize()
    assert end.query()
    assert start.elapsed_time(end) > 0


def test_it_is_the_accelerator() -> None:
    assert torch.accelerator.current_accelerator() == torch.device("mps")
    assert torch.accelerator.device_count() == 1
    torch.accelerator.synchronize()
    torch.accelerator.empty_cache()
    before = torch.accelerator.memory_allocated()
    torch.accelerator.reset_peak_memory_stats()
    torch.empty(1000, dtype=torch.uint8, device="mps")
    assert torch.accelerator.max_memory_allocated() == before + 1000
    assert torch.accelerator.memory_allocated() == before


def test_there_are_no_signposts_and_no_captures(tmp_path) -> None:
    with pytest.raises(NotImplementedError, match=r"Instruments.*record_dispatches"):
        torch.mps.profiler.start()
    assert not torch.mps.profiler.is_metal_capture_enabled()
    assert not torch.mps.profiler.is_capturing_metal()
    with pytest.raises(RuntimeError, match="a Metal capture needs Metal"), torch.mps.profiler.metal_capture("x.trace"):
        pass


def test_it_may_be_the_default_device() -> None:
    torch.set_default_device("mps")
    try:
        made = [torch.ones(2), torch.arange(3), torch.tensor([1.5]), torch.randperm(4), torch.nn.Linear(2, 2).weight]
    finally:
        torch.set_default_device(None)
    assert {tensor.device.type for tensor in made} == {"mps"}


@pytest.mark.parametrize("non_blocking", [False, True])
@pytest.mark.parametrize("source", [torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_copies_between_types_and_devices(source, non_blocking) -> None:
    host = torch.tensor([0, 1, 2, 3]).to(source)
    for target in (torch.float16, torch.float32, torch.int32, torch.bool):
        there = torch.empty(4, dtype=target, device="mps").copy_(host, non_blocking=non_blocking)
        back = torch.empty(4, dtype=target).copy_(host.to("mps"), non_blocking=non_blocking)
        within = torch.empty(4, dtype=target, device="mps").copy_(host.to("mps"), non_blocking=non_blocking)
        assert torch.equal(there.cpu(), host.to(target))
        assert torch.equal(back, host.to(target))
        assert torch.equal(within.cpu(), host.to(target))


def test_copies_broadcast_and_follow_strides() -> None:
    tensor = torch.zeros(3, 4, device="mps")
    tensor.copy_(torch.arange(4.0))
    tensor.t()[1].copy_(torch.full((3,), 9.0))
    assert tensor.tolist() == [[0, 9, 2, 3]] * 3


def test_which_mac_it_is(ops) -> None:
    apple_8, apple_9 = 1008, 1009  # MPSDevice.h
    try:
        mt.set_device(name="Apple M2 Ultra", cores=60, macos=(14, 4))
        assert (ops.device_name(), ops.device_cores()) == ("Apple M2 Ultra", 60)
        assert (torch.backends.mps.get_name(), torch.backends.mps.get_core_count()) == ("Apple M2 Ultra", 60)
        assert (ops.newer_than(apple_8), ops.newer_than(apple_9)) == (True, False)
        assert torch.backends.mps.is_macos_or_newer(14, 4)
        assert not torch.backends.mps.is_macos_or_newer(15, 0)
    finally:
        mt.set_device()
    assert ops.device_name() == "Apple M1"
    with pytest.raises(ValueError, match="at least one core"):
        mt.set_device(cores=0)
