# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""`torch.ops.steel` on the Linux `mps` device: the shipped glue, and what it says to wrong calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from porter.port.target import load_target

torch = pytest.importorskip("torch", reason="needs the verify extra")


@pytest.fixture(scope="module")
def steel(root: Path) -> Any:
    from porter.prove.operators import load_operators

    return load_operators(root / "generated", load_target())


def mps(*sizes: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*sizes).to(dtype).to("mps")


def test_mm_runs_on_the_device(steel: Any) -> None:
    # Small integers: every sum is exact, so the product must be exact too.
    a, b = torch.randint(-8, 8, (37, 20)).float(), torch.randint(-8, 8, (20, 50)).float()
    result = steel.mm(a.to("mps"), b.to("mps"))
    assert result.device.type == "mps"
    assert torch.equal(result.cpu(), a @ b)


CALLS = [
    ("mm", lambda: (mps(2, 3), mps(4, 5))),
    ("mm", lambda: (mps(2, 3, 4), mps(4, 5))),
    ("mm", lambda: (mps(3), mps(3, 5))),
    ("addmm", lambda: (mps(7), mps(2, 3), mps(3, 5))),
    ("addmm", lambda: (mps(2, 5), mps(2, 3), mps(4, 5))),
    ("bmm", lambda: (mps(2, 3, 4), mps(3, 4, 5))),
    ("bmm", lambda: (mps(3, 4), mps(4, 5))),
    ("bmm", lambda: (mps(2, 3, 4), mps(2, 5, 6))),
    ("baddbmm", lambda: (mps(2, 9, 9), mps(2, 3, 4), mps(2, 4, 5))),
    ("linear", lambda: (mps(2, 3), mps(4, 5))),
]


@pytest.mark.parametrize(("name", "arguments"), CALLS, ids=[f"{name}{i}" for i, (name, _) in enumerate(CALLS)])
def test_shapes_that_do_not_match_raise_what_torch_raises(steel: Any, name: str, arguments: Any) -> None:
    theirs = {"linear": torch.nn.functional.linear}.get(name) or getattr(torch, name)
    given = arguments()
    with pytest.raises(RuntimeError) as expected:
        theirs(*(tensor.cpu() for tensor in given))
    with pytest.raises(type(expected.value)) as found:
        getattr(steel, name)(*given)
    assert str(found.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_dtypes_that_do_not_match(steel: Any) -> None:
    with pytest.raises(RuntimeError, match="same dtype"):
        steel.mm(mps(2, 3), mps(3, 2, dtype=torch.float16))


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_dtypes_that_are_not_served(steel: Any, dtype: torch.dtype) -> None:
    a = torch.ones(2, 2).to(dtype).to("mps")
    with pytest.raises(RuntimeError, match="expected float32, float16 or bfloat16"):
        steel.mm(a, a)


def test_devices_that_do_not_match(steel: Any) -> None:
    with pytest.raises(RuntimeError, match=r"Expected all tensors to be on the same device.*cpu"):
        steel.mm(mps(2, 3), torch.randn(3, 2))


def test_the_cpu_is_not_served(steel: Any) -> None:
    with pytest.raises(NotImplementedError, match=r"'steel::mm'.*'CPU' backend"):
        steel.mm(torch.randn(2, 3), torch.randn(3, 2))


@pytest.mark.parametrize(("m", "n", "k"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1), (1, 5, 1)])
def test_empty_and_one_sized_dimensions(steel: Any, m: int, n: int, k: int) -> None:
    a, b, c = torch.ones(m, k), torch.ones(k, n), torch.full((m, n), 3.0)
    assert torch.equal(steel.mm(a.to("mps"), b.to("mps")).cpu(), torch.mm(a, b))
    ours = steel.addmm(c.to("mps"), a.to("mps"), b.to("mps"), beta=2, alpha=0.5).cpu()
    assert torch.equal(ours, torch.addmm(c, a, b, beta=2, alpha=0.5))


def test_beta_zero_does_not_read_the_added_matrix(steel: Any) -> None:
    a, b, nan = torch.eye(9), torch.eye(9), torch.full((9, 9), float("nan"))
    for alpha in (1.0, 2.0):
        result = steel.addmm(nan.to("mps"), a.to("mps"), b.to("mps"), beta=0, alpha=alpha)
        assert torch.equal(result.cpu(), alpha * torch.eye(9))


@pytest.mark.parametrize("shape", [(12,), (1, 12), (10, 1), (), (10, 12)])
def test_what_is_added_is_broadcast(steel: Any, shape: tuple[int, ...]) -> None:
    a, b = torch.randint(-4, 4, (10, 6)).float(), torch.randint(-4, 4, (6, 12)).float()
    c = torch.randint(-4, 4, shape).float()
    assert torch.equal(steel.addmm(c.to("mps"), a.to("mps"), b.to("mps")).cpu(), torch.addmm(c, a, b))


LAYOUTS = {
    "offset": lambda x: torch.cat([x, x])[x.shape[0] :],
    "columns of a wider matrix": lambda x: torch.cat([x, x], 1)[:, : x.shape[1]],
    "transposed": lambda x: x.t().contiguous().t(),
    "every other": lambda x: x.repeat_interleave(2, 0).repeat_interleave(3, 1)[::2, ::3],
    "one row repeated": lambda x: x[:1].expand(x.shape),
    "one column repeated": lambda x: x[:, :1].expand(x.shape),
}


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
def test_any_strides(steel: Any, left: str, right: str) -> None:
    a = LAYOUTS[left](torch.randint(-8, 8, (35, 18)).float().to("mps"))
    b = LAYOUTS[right](torch.randint(-8, 8, (18, 21)).float().to("mps"))
    assert torch.equal(steel.mm(a, b).cpu(), a.cpu() @ b.cpu())


def test_a_batch_that_does_not_merge(steel: Any) -> None:
    x = torch.randint(-8, 8, (3, 2, 7, 10)).float().to("mps").transpose(0, 1)[:, :, 1:]
    w, bias = torch.randint(-8, 8, (5, 10)).float(), torch.randint(-8, 8, (5,)).float()
    ours = steel.linear(x, w.to("mps"), bias.to("mps")).cpu()
    assert torch.equal(ours, torch.nn.functional.linear(x.cpu(), w, bias))


def test_stale_bindings_are_never_read(steel: Any) -> None:
    """Bindings stay set from call to call, as on a Mac; poisoned, any slot that the glue forgot is an error."""
    import porter.metal.torch as metal_torch

    metal_torch.poison_bindings()
    try:
        for a, b in ((mps(3, 4), mps(4, 5)), (mps(65, 32), mps(32, 64))):
            steel.mm(a, b)
            steel.addmm(mps(b.shape[1]), a, b)
            steel.linear(mps(2, 3, 5, 4).transpose(0, 1), mps(6, 4), mps(6))
    finally:
        metal_torch.poison_bindings(False)


def test_sixteen_threads_get_what_one_gets(steel: Any) -> None:
    a, b = mps(65, 33), mps(33, 70)
    one = steel.mm(a, b).cpu()
    with ThreadPoolExecutor(16) as pool:
        for result in pool.map(lambda _: steel.mm(a, b).cpu(), range(64)):
            assert torch.equal(result, one)


def test_float64_does_not_reach_the_device(steel: Any) -> None:
    with pytest.raises(TypeError, match="MPS framework doesn't support float64"):
        torch.ones(2, 2, dtype=torch.float64).to("mps")


@pytest.mark.parametrize(("m", "n"), [(65, 4096), (33, 20001), (1, 5000), (63, 4096), (129, 1)])
@pytest.mark.parametrize("slack", [0, 5])
def test_what_is_added_is_not_read_past_its_end(steel: Any, m: int, n: int, slack: int) -> None:
    """Upstream reads whole tiles of rows; behind each buffer of this device lies a page that nobody may read."""
    c = torch.randint(-4, 4, (m, n + slack)).float()
    a, b = torch.randint(-4, 4, (m, 3)).float(), torch.randint(-4, 4, (3, n)).float()
    ours = steel.addmm(c.to("mps")[:, slack:], a.to("mps"), b.to("mps"))
    assert torch.equal(ours.cpu(), torch.addmm(c[:, slack:], a, b))
    stacked = torch.stack([c[:, slack:]] * 2)
    ours = steel.baddbmm(stacked.to("mps"), a.to("mps").expand(2, -1, -1), b.to("mps").expand(2, -1, -1))
    assert torch.equal(ours.cpu(), torch.baddbmm(stacked, a.expand(2, -1, -1), b.expand(2, -1, -1)))


def test_the_stride_of_one_element_means_nothing(steel: Any) -> None:
    a, b, c = torch.ones(5, 3), torch.ones(3, 1), torch.arange(5.0)
    odd = torch.as_strided(c.to("mps"), (5, 1), (1, 2**40))
    assert torch.equal(steel.addmm(odd, a.to("mps"), b.to("mps")).cpu(), torch.addmm(c[:, None], a, b))
    wide = torch.as_strided(a.to("mps"), (1, 3), (2**40, 1))
    assert torch.equal(steel.mm(wide, b.to("mps")).cpu(), a[:1] @ b)


@pytest.mark.parametrize("name", ["mm", "linear"])
def test_a_missing_derivative_is_an_error(steel: Any, name: str) -> None:
    a, b = mps(4, 4).requires_grad_(), mps(4, 4)
    result = getattr(steel, name)(a, b)
    with pytest.raises(RuntimeError, match=f"derivative for steel::{name} is not implemented"):
        result.sum().backward()


@pytest.mark.parametrize(
    ("device", "tile"),
    [
        # MLX's tiles for a small float32 product, transposed on the right, by the class of the GPU.
        ("Apple M1", "bm64_bn32_bk32_wm2_wn2"),
        ("Apple M4", "bm64_bn32_bk32_wm2_wn2"),
        ("Apple A18 Pro", "bm64_bn32_bk32_wm2_wn2"),
        ("Apple M3 Pro", "bm64_bn64_bk16_wm2_wn2"),
        ("Apple M1 Max", "bm64_bn64_bk16_wm2_wn2"),
        ("Apple M2 Ultra", "bm32_bn64_bk16_wm1_wn2"),
    ],
)
def test_the_tile_is_that_of_the_device(steel: Any, device: str, tile: str) -> None:
    import porter.metal.torch as metal_torch

    metal_torch.set_device(name=device)
    steel._set_device_class("")
    try:
        with metal_torch.record_dispatches() as dispatches:
            steel.mm(mps(9, 8), mps(7, 8).t())
        assert [tile in dispatch.kernel for dispatch in dispatches] == [True]
    finally:
        metal_torch.set_device()
        steel._set_device_class("")
