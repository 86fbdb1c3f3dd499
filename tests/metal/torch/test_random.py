# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Random numbers of the device: a generator of its own, that repeats what its seed says."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.usefixtures("ops")

DRAWS = {
    "rand": lambda **to: torch.rand(8, device="mps", **to),
    "randn": lambda **to: torch.randn(8, device="mps", **to),
    "randint": lambda **to: torch.randint(100, (8,), device="mps", **to),
    "randperm": lambda **to: torch.randperm(8, device="mps", **to),
    "normal": lambda **to: torch.normal(2.0, 3.0, (8,), device="mps", **to),
    "uniform_": lambda **to: torch.empty(8, device="mps").uniform_(-1, 1, **to),
    "normal_": lambda **to: torch.empty(8, device="mps").normal_(**to),
    "exponential_": lambda **to: torch.empty(8, device="mps").exponential_(**to),
    "random_": lambda **to: torch.empty(8, device="mps").random_(**to),
    "bernoulli": lambda **to: torch.bernoulli(torch.full((64,), 0.5, device="mps"), **to),
    "multinomial": lambda **to: torch.multinomial(torch.ones(20, device="mps"), 8, **to),
}
WITHOUT_GENERATOR = {
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(64, device="mps")),
    "native_dropout": lambda: torch.native_dropout(torch.ones(64, device="mps"), 0.5, True)[0],
    "rand_like": lambda: torch.rand_like(torch.ones(8, device="mps")),
    "dropout2d": lambda: torch.nn.functional.dropout2d(torch.ones(8, 8, 1, 1, device="mps")),
}


@pytest.mark.parametrize("name", [*DRAWS, *WITHOUT_GENERATOR])
def test_a_seed_repeats(name) -> None:
    draw = {**DRAWS, **WITHOUT_GENERATOR}[name]
    torch.manual_seed(11)
    first, second = draw(), draw()
    torch.mps.manual_seed(11)
    assert torch.equal(draw(), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_repeats_and_leaves_the_devices_own_alone(name) -> None:
    generator = torch.Generator(device="mps").manual_seed(5)
    torch.mps.manual_seed(11)
    state = torch.mps.get_rng_state()
    first = DRAWS[name](generator=generator)
    assert torch.equal(torch.mps.get_rng_state(), state)
    assert torch.equal(DRAWS[name](generator=generator.manual_seed(5)), first)


def test_the_cpus_numbers_are_not_drawn() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for draw in (*DRAWS.values(), *WITHOUT_GENERATOR.values()):
        draw()
    torch.mps.manual_seed(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_is_taken_and_put_back() -> None:
    state = torch.mps.get_rng_state()
    first = torch.rand(8, device="mps")
    torch.mps.set_rng_state(state)
    assert torch.equal(torch.rand(8, device="mps"), first)
    generator = torch.Generator(device="mps").manual_seed(7)
    other = torch.Generator(device="mps")
    other.set_state(generator.get_state())
    assert torch.equal(torch.rand(8, device="mps", generator=other), torch.rand(8, device="mps", generator=generator))


def test_a_generator_knows_its_device_and_its_seed() -> None:
    generator = torch.Generator(device="mps").manual_seed(7)
    assert generator.device == torch.device("mps", 0)
    assert generator.initial_seed() == 7
    with pytest.raises(RuntimeError, match="Expected a 'mps' device type for generator but found 'cpu'"):
        torch.rand(3, device="mps", generator=torch.Generator())


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    for drop in (torch.nn.functional.dropout, lambda x, p: torch.native_dropout(x, p, True)[0]):
        kept = drop(torch.ones(10_000, device="mps"), 0.25)
        values = kept.unique().tolist()
        assert values == [0, pytest.approx(1 / 0.75)]
        # The mean's standard deviation is sqrt(p / (1 - p) / n) = 0.0058; five of them.
        assert abs(kept.mean().item() - 1) < 5 * (0.25 / 0.75 / 10_000) ** 0.5
