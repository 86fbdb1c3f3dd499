# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""What a model needs: layers, losses, optimizers and whole training loops, against the same on the CPU.

The device's operators are the CPU's kernels on copies, so that the same numbers in the same order give the same bits:
unless a test derives a tolerance, results must be equal. Attention on the CPU is asked for in the form of single
operators (SDPBackend.MATH), which is the form it has here.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

pytestmark = pytest.mark.usefixtures("ops")

Result = list[torch.Tensor]


def run(function: Callable[..., torch.Tensor], inputs: Result, device: str) -> Result:
    """The function's value and its gradients to all inputs, on the CPU."""
    leaves = [one.to(device).requires_grad_() for one in inputs]
    with sdpa_kernel(SDPBackend.MATH):
        value = function(*leaves)
    slopes = torch.arange(value.numel(), dtype=value.dtype, device=device).reshape(value.shape).sin()
    value.backward(slopes)
    return [value.detach().cpu(), *(leaf.grad.cpu() for leaf in leaves if leaf.grad is not None)]


def assert_same(function: Callable[..., torch.Tensor], *shapes: tuple[int, ...], dtype=torch.float32) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=dtype) for shape in shapes]
    expected, got = (run(function, [one.clone() for one in inputs], device) for device in ("cpu", "mps"))
    assert len(got) == len(expected) == len(shapes) + 1
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)


CONVOLUTIONS = {
    "1d": (lambda x, w, b: functional.conv1d(x, w, b, padding=1), (2, 4, 9), (6, 4, 3), (6,)),
    "2d": (lambda x, w, b: functional.conv2d(x, w, b, stride=2), (2, 4, 9, 9), (6, 4, 3, 3), (6,)),
    "3d": (lambda x, w, b: functional.conv3d(x, w, b), (2, 4, 5, 5, 5), (6, 4, 3, 3, 3), (6,)),
    "groups": (
        lambda x, w: functional.conv2d(x, w, padding="same", groups=2, dilation=2),
        (2, 4, 9, 9),
        (4, 2, 3, 3),
    ),
    "unbatched": (lambda x, w: functional.conv2d(x, w), (4, 9, 9), (6, 4, 3, 3)),
    "transposed 1d": (lambda x, w, b: functional.conv_transpose1d(x, w, b, stride=2), (2, 4, 9), (4, 6, 3), (6,)),
    "transposed 2d": (
        lambda x, w: functional.conv_transpose2d(x, w, stride=2, output_padding=1),
        (2, 4, 9, 9),
        (4, 6, 3, 3),
    ),
    "transposed 3d": (lambda x, w: functional.conv_transpose3d(x, w), (2, 4, 3, 3, 3), (4, 6, 3, 3, 3)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name) -> None:
    function, *shapes = CONVOLUTIONS[name]
    assert_same(function, *shapes)


def test_convolution_in_half_precision_and_channels_last() -> None:
    assert_same(lambda x, w: functional.conv2d(x, w), (2, 4, 9, 9), (6, 4, 3, 3), dtype=torch.bfloat16)
    assert_same(lambda x, w: functional.conv2d(x.to(memory_format=torch.channels_last), w), (2, 4, 9, 9), (6, 4, 3, 3))


def test_convolution_refuses_a_weight_of_the_cpu() -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        functional.conv2d(torch.ones(1, 1, 3, 3, device="mps"), torch.ones(1, 1, 3, 3))


def test_only_the_gradients_that_are_asked_for() -> None:
    weight = torch.ones(2, 3, 3, 3, device="mps", requires_grad=True)
    functional.conv2d(torch.ones(1, 3, 5, 5, device="mps"), weight).sum().backward()
    assert torch.equal(weight.grad.cpu(), torch.full((2, 3, 3, 3), 9.0))


ATTENTIONS = {
    "plain": lambda q, k, v: functional.scaled_dot_product_attention(q, k, v),
    "causal": lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    "scale": lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, scale=0.3),
    "boolean mask": lambda q, k, v: functional.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.ones(8, 8, dtype=torch.bool, device=q.device).tril()
    ),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name) -> None:
    assert_same(ATTENTIONS[name], (2, 3, 8, 16), (2, 3, 8, 16), (2, 3, 8, 16))


def test_attention_with_a_float_mask_and_grouped_queries() -> None:
    assert_same(
        lambda q, k, v, m: functional.scaled_dot_product_attention(q, k, v, attn_mask=m),
        *[(2, 3, 8, 16)] * 3,
        (8, 8),
    )
    assert_same(
        lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (2, 4, 8, 16),
        *[(2, 2, 8, 16)] * 2,
    )


def test_attention_drops_out_by_the_devices_generator() -> None:
    query = torch.ones(1, 2, 8, 16, device="mps")
    torch.manual_seed(1)
    first = functional.scaled_dot_product_attention(query, query, query, dropout_p=0.5)
    torch.mps.manual_seed(1)
    assert torch.equal(functional.scaled_dot_product_attention(query, query, query, dropout_p=0.5), first)
    assert not torch.equal(first, query)


@pytest.mark.filterwarnings("error")
def test_losses_warn_of_nothing() -> None:
    for loss in (functional.mse_loss, functional.smooth_l1_loss, functional.huber_loss):
        assert_same(lambda x, y, loss=loss: loss(x, y), (3, 5), (3, 5))


def test_attention_refuses_what_torch_refuses() -> None:
    query = torch.ones(1, 2, 8, 16, device="mps")
    with pytest.raises(RuntimeError, match="to have the same dtype"):
        functional.scaled_dot_product_attention(query, query.half(), query)
    with pytest.raises(RuntimeError, match="Expected attn_mask dtype to be bool or float"):
        functional.scaled_dot_product_attention(query, query, query, torch.ones(8, 8, dtype=torch.int32, device="mps"))
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        functional.scaled_dot_product_attention(query[0, 0, 0], query, query)


LAYERS = {
    "max_pool2d": (lambda x: functional.max_pool2d(x, 2), (2, 4, 8, 8)),
    "avg_pool3d": (lambda x: functional.avg_pool3d(x, 2), (2, 4, 8, 8, 8)),
    "adaptive_avg_pool2d": (lambda x: functional.adaptive_avg_pool2d(x, 3), (2, 4, 8, 8)),
    "adaptive_max_pool1d": (lambda x: functional.adaptive_max_pool1d(x, 3), (2, 4, 8)),
    "interpolate": (lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear"), (2, 4, 8, 8)),
    "pad": (lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"), (2, 4, 8, 8)),
    "layer_norm": (lambda x, w, b: functional.layer_norm(x, (8,), w, b), (4, 8), (8,), (8,)),
    "rms_norm": (lambda x, w: functional.rms_norm(x, (8,), w), (4, 8), (8,)),
    "group_norm": (lambda x, w, b: functional.group_norm(x, 2, w, b), (2, 4, 8, 8), (4,), (4,)),
    "batch_norm": (
        lambda x, w, b: functional.batch_norm(
            x, torch.zeros(4, device=x.device), torch.ones(4, device=x.device), w, b, training=True
        ),
        (2, 4, 8, 8),
        (4,),
        (4,),
    ),
    "embedding": (lambda w: functional.embedding(torch.tensor([[1, 2], [0, 2]], device=w.device), w), (4, 8)),
    "cross_entropy": (lambda x: functional.cross_entropy(x, torch.tensor([1, 2, 0], device=x.device)), (3, 5)),
    "mse_loss": (lambda x, y: functional.mse_loss(x, y), (3, 5), (3, 5)),
    "gelu": (functional.gelu, (4, 8)),
    "silu": (functional.silu, (4, 8)),
    "mish": (functional.mish, (4, 8)),
    "softmax": (lambda x: functional.softmax(x, -1), (4, 8)),
    "prelu": (functional.prelu, (4, 8), (8,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name) -> None:
    function, *shapes = LAYERS[name]
    assert_same(function, *shapes)


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adadelta"])
def test_optimizers(name, foreach) -> None:
    def optimizer(parameters: Any) -> Any:
        return getattr(torch.optim, name)(parameters, lr=0.1, foreach=foreach)

    torch.manual_seed(1)
    assert_trains_the_same(lambda: nn.Linear(4, 3), torch.randn(6, 4), optimizer)


def test_a_fused_optimizer() -> None:
    torch.manual_seed(1)
    assert_trains_the_same(
        lambda: nn.Linear(4, 3), torch.randn(6, 4), lambda p: torch.optim.AdamW(p, lr=0.1, fused=True)
    )


class Block(nn.Module):
    """A transformer's block over 16 channels, and a head with three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(16), nn.LayerNorm(16)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(self.first(x)).view(*x.shape[:2], 3, 2, 8).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        x = x + self.mlp(self.second(x))
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.LSTM(4, 6, num_layers=2, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(x)[0][:, -1])


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def train(make: Callable[[], nn.Module], inputs: torch.Tensor, optimizer: Any, device: str) -> Result:
    """Four steps; the losses, then the parameters."""
    torch.manual_seed(0)
    model = make().to(device)
    targets = torch.arange(len(inputs)).remainder(3).to(device)
    steps = optimizer(model.parameters())
    losses = []
    for _ in range(4):
        steps.zero_grad()
        with sdpa_kernel(SDPBackend.MATH):
            loss = functional.cross_entropy(model(inputs.to(device)), targets)
        loss.backward()
        steps.step()
        losses.append(loss.detach().cpu())
    assert losses[-1] < losses[0]
    return [*losses, *(parameter.detach().cpu() for parameter in model.parameters())]


def assert_trains_the_same(make: Callable[[], nn.Module], inputs: torch.Tensor, optimizer: Any) -> None:
    expected, got = (train(make, inputs, optimizer, device) for device in ("cpu", "mps"))
    for one, other in zip(got, expected, strict=True):
        assert torch.equal(one, other)


def test_a_convolutional_network_trains() -> None:
    torch.manual_seed(2)
    assert_trains_the_same(convolutional, torch.randn(6, 3, 8, 8), lambda p: torch.optim.AdamW(p, lr=1e-2))


def test_a_transformers_block_trains() -> None:
    torch.manual_seed(2)
    assert_trains_the_same(Block, torch.randn(6, 5, 16), lambda p: torch.optim.AdamW(p, lr=1e-2))


def test_a_recurrent_network_trains() -> None:
    torch.manual_seed(2)
    inputs = torch.randn(6, 5, 4)
    expected, got = (
        train(Recurrent, inputs, lambda p: torch.optim.SGD(p, lr=0.1), device) for device in ("cpu", "mps")
    )
    # The CPU runs a whole LSTM at once, the device cell by cell, so each may round elsewhere. A number passes through 5
    # time steps and 2 layers, each a sum of at most 12 products and about 8 more operations, forward and backward, in 4
    # steps of training: 5 * 2 * 20 * 2 * 4 = 1600 roundings of 2**-24 of numbers below 2.
    tolerance = 1600 * 2**-24 * 2
    for one, other in zip(got, expected, strict=True):
        assert (one - other).abs().max() <= tolerance


def test_the_layers_of_torch_run_in_both_modes() -> None:
    tokens = torch.randn(2, 5, 16, device="mps")
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).to("mps")
    layer(tokens).sum().backward()
    layer.eval()
    with torch.no_grad():
        fast = layer(tokens)
    # The fused form of the layer against the single operators: products of at most 32 terms and a softmax, of numbers
    # of order one after a layer norm; 100 roundings of 2**-24 of numbers below 4.
    assert (fast - layer(tokens)).abs().max() <= 100 * 2**-24 * 4


def test_automatic_mixed_precision() -> None:
    x = torch.randn(4, 4, device="mps", requires_grad=True)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("mps", dtype=dtype):
            assert (x @ x).dtype == dtype
            assert functional.softmax(x @ x, -1).dtype == torch.float32


@pytest.mark.parametrize(("scale", "steps"), [(2.0**7, True), (2.0**16, False)])
def test_gradients_are_scaled(scale, steps) -> None:
    model = nn.Linear(4, 3).to("mps")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("mps", init_scale=scale)
    before = model.weight.detach().cpu()
    with torch.autocast("mps", dtype=torch.float16):
        loss = model(torch.ones(2, 4, device="mps")).sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    # A slope of 2**16 is past the largest half, 65504, so that step is left out and the scale halved.
    assert torch.equal(model.weight.detach().cpu(), before) is not steps
    assert scaler.get_scale() == (scale if steps else scale / 2)


def test_gradients_of_gradients_and_transforms() -> None:
    x = torch.tensor([1.0, 2.0], device="mps", requires_grad=True)
    (slope,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert curvature.tolist() == [6, 12]
    assert torch.func.vmap(torch.func.grad(lambda one: one**2))(x.detach()).tolist() == [2, 4]
    assert torch.utils.checkpoint.checkpoint(lambda one: one * 2, x, use_reentrant=False).tolist() == [2, 4]


def test_models_are_saved_loaded_and_copied() -> None:
    model = nn.Linear(2, 3).to("mps")
    weight = model.weight.detach().cpu()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    for location, device in ((None, "mps"), ("cpu", "cpu"), ("mps", "mps")):
        file.seek(0)
        loaded = torch.load(file, map_location=location)["weight"]
        assert (loaded.device.type, torch.equal(loaded.cpu(), weight)) == (device, True)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301 - bytes of this very line
        assert copied.weight.device.type == "mps"
        assert torch.equal(copied.weight.detach().cpu(), weight)
        assert copied.weight.untyped_storage().data_ptr() != model.weight.untyped_storage().data_ptr()


def test_storages() -> None:
    storage = torch.tensor([1, 2, 3], dtype=torch.uint8, device="mps").untyped_storage()
    assert (storage.device.type, storage.nbytes(), storage.tolist()) == ("mps", 3, [1, 2, 3])
    assert storage.cpu().tolist() == [1, 2, 3]
    assert torch.UntypedStorage([4, 5], device="mps").tolist() == [4, 5]
    assert torch.UntypedStorage(4, device="mps").nbytes() == 4
    assert torch.UntypedStorage(4).device.type == "cpu"
    clone = storage.clone()
    clone.fill_(7)
    assert (clone.tolist(), storage.tolist()) == ([7, 7, 7], [1, 2, 3])


def test_the_hosts_view_of_a_storage() -> None:
    tensor = torch.zeros(3, device="mps")
    alias = torch.mps._host_alias_storage(tensor.untyped_storage())
    assert (alias.device.type, alias.nbytes()) == ("cpu", 12)
    torch.empty(0).set_(alias).fill_(2.0)
    assert tensor.tolist() == [2, 2, 2]
    del tensor
    assert torch.empty(0).set_(alias)[0] == 2
