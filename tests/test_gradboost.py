"""GradBoost, step for step against a plain reference of each mode, under every optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from frostnas.config import GradBoostConfig, GradBoostMode
from frostnas.quant import GradBoost, gradboost
from frostnas.quant.noise_table import NoiseTable

STEPS, TRACKED = 12, 4
Trained = tuple[nn.Parameter, GradBoost, torch.optim.Optimizer]
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.01),
}


def spreads(mode: GradBoostMode, sizes: list[float], decay: float = 0.9) -> Iterator[float]:
    """emax - emin for one element whose |g| takes the values ``sizes``, written as the definitions read."""
    if mode is GradBoostMode.corrected:
        high = low = 0.0  # plain accumulators
        for t, size in enumerate(sizes, 1):
            before = 1 - decay ** (t - 1)
            high = decay * high + (1 - decay) * (size if t == 1 else max(high / before, size))
            low = decay * low + (1 - decay) * (size if t == 1 else min(low / before, size))
            yield (high - low) / (1 - decay**t)
    else:
        high = low = 0.0
        for t, size in enumerate(sizes, 1):
            high = (decay * high + (1 - decay) * max(high, size)) / (1 - decay**t)
            low = (decay * low + (1 - decay) * min(low, size)) / (1 - decay**t)
            yield high - low


def gradient(step: int) -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(step)) * (1 + step)


def reference(mode: GradBoostMode, name: str, config: GradBoostConfig) -> list[Tensor]:
    """Weights after every step, with the noise added by hand to what the optimizer takes as its gradient."""
    weight = nn.Parameter(torch.ones(3, 4))
    optimizer = OPTIMIZERS[name]([weight])
    table = NoiseTable(5, True, weight.device)
    felt: list[Tensor] = []
    weights = []
    for step in range(1, STEPS + 1):
        g = gradient(step)
        felt.append(g + 0.01 * weight.detach() if name == "adam" else g)
        if step > TRACKED:
            sizes = torch.stack(felt).abs().flatten(1).T.tolist()
            spread = torch.tensor([list(spreads(mode, one))[-1] for one in sizes]).view(3, 4)
            laplace = table.draw(12, table.places(step - TRACKED)).view(3, 4)  # or 0, as the coin says
            noise = felt[-1].sign() * laplace * spread * (1 - config.noise_decay) ** (step - TRACKED)
            g = g + noise.clamp(-config.clip_by, config.clip_by)
        weight.grad = g.clone()
        optimizer.step()
        weights.append(weight.detach().clone())
    return weights


def run(steps: range, state: Trained) -> Iterator[Tensor]:
    weight, boost, optimizer = state
    for step in steps:
        (boost.boost if step > TRACKED else boost.track)()
        weight.grad = gradient(step)
        optimizer.step()
        yield weight.detach().clone()


def fresh(name: str, config: GradBoostConfig) -> Trained:
    weight = nn.Parameter(torch.ones(3, 4))
    optimizer = OPTIMIZERS[name]([weight])
    boost = GradBoost([weight], config, seed=5)
    boost.attach(optimizer)
    return weight, boost, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("mode", GradBoostMode)
@pytest.mark.parametrize("clip_by", [1e-3, 10.0])
def test_every_step_is_the_references(mode: GradBoostMode, name: str, clip_by: float) -> None:
    config = GradBoostConfig(mode=mode, clip_by=clip_by)
    found = list(run(range(1, STEPS + 1), fresh(name, config)))
    wanted = reference(mode, name, config)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    quiet = list(run(range(1, STEPS + 1), fresh(name, GradBoostConfig(mode=mode, clip_by=0))))
    assert torch.equal(found[TRACKED - 1], quiet[TRACKED - 1])
    assert not torch.equal(found[TRACKED], quiet[TRACKED])


def test_draws_are_magnitudes_of_laplace_for_a_random_half() -> None:
    table = NoiseTable(0, True, torch.device("cpu"))
    draws = table.draw(400_001, table.places(1))
    assert draws.shape == (400_001,)
    assert abs((draws > 0).float().mean().item() - 0.5) < 0.005
    heads = draws[draws > 0]
    assert abs(heads.mean().item() - 1) < 0.02 and abs(heads.var().item() - 1) < 0.05
    for quantile in (0.1, 0.5, 0.9, 0.99):
        assert abs(torch.quantile(heads, quantile).item() + math.log(1 - quantile)) < 0.05


def test_draws_of_different_weights_and_of_different_steps_are_uncorrelated() -> None:
    table = NoiseTable(0, True, torch.device("cpu"))
    steps = [table.draw(100_000, table.places(step)) for step in range(8)]
    off_diagonal = torch.corrcoef(torch.stack(steps)) - torch.eye(len(steps))
    assert off_diagonal.abs().max() < 0.02
    neighbours = torch.stack([steps[0][:-1], steps[0][1:]])
    assert torch.corrcoef(neighbours)[0, 1].abs() < 0.02


def test_the_released_average_grows_as_the_published_optimizers_does() -> None:
    growth = list(spreads(GradBoostMode.released, [1.0] * 30))
    assert [round(growth[step - 1], 2) for step in (1, 2, 10, 30)] == [1.0, 5.26, 2482.65, 52887.15]
    weight, boost, optimizer = fresh("sgd", GradBoostConfig(mode=GradBoostMode.released))
    for _ in range(30):
        weight.grad = torch.ones(3, 4)
        optimizer.step()
    torch.testing.assert_close(boost.largest, torch.full((12,), 52887.15), rtol=1e-3, atol=0)


@pytest.mark.parametrize("toss", [True, False])
def test_noise_pushes_outward_and_the_coin_spares_half(toss: bool) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(20_000))
    optimizer = torch.optim.SGD([weight], 1.0)
    boost = GradBoost([weight], GradBoostConfig(clip_by=1e9, noise_decay=0, toss_coin=toss), seed=1)
    boost.attach(optimizer)
    weight.grad = torch.randn(20_000)
    optimizer.step()
    boost.boost()
    before = torch.randn(20_000)
    weight.grad = before.clone()
    optimizer.step()
    noise = weight.grad - before
    assert bool((noise * before >= 0).all())
    assert abs(float((noise == 0).float().mean()) - (0.5 if toss else 0.0)) < 0.02


@pytest.mark.parametrize("mode", GradBoostMode)
def test_a_restored_state_goes_on_exactly(mode: GradBoostMode, tmp_path: Path) -> None:
    config = GradBoostConfig(mode=mode)
    whole = list(run(range(1, STEPS + 1), fresh("sgd", config)))
    first = fresh("sgd", config)
    list(run(range(1, 8), first))
    torch.save(
        {"boost": first[1].state_dict(), "optimizer": first[2].state_dict(), "w": first[0].detach()}, tmp_path / "c"
    )
    stored = torch.load(tmp_path / "c", weights_only=True)
    second = fresh("sgd", config)
    second[0].data.copy_(stored["w"])
    second[1].load_state_dict(stored["boost"])
    second[2].load_state_dict(stored["optimizer"])
    assert torch.equal(list(run(range(8, STEPS + 1), second))[-1], whole[-1])


def test_parameters_without_a_gradient_are_left_out() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([used, unused], 0.1)
    boost = GradBoost([used, unused], GradBoostConfig(), seed=0)
    boost.attach(optimizer)
    boost.boost()
    used.grad = torch.ones(2)
    optimizer.step()
    assert boost.seen == [1, 0]
    assert torch.equal(unused, torch.ones(3))


@pytest.mark.parametrize("mode", GradBoostMode)
def test_pieces_and_skipped_parameters_are_treated_as_each_parameter_alone(
    mode: GradBoostMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches cut a parameter and join others; without noise, the averages must not depend on it."""
    monkeypatch.setattr(gradboost, "CACHED_ELEMENTS", 16)
    weights = [nn.Parameter(torch.zeros(shape)) for shape in ((9, 5), (3,), (4, 2, 3, 3), (), (2, 2))]
    weights[2].data = weights[2].data.contiguous(memory_format=torch.channels_last)
    config = GradBoostConfig(mode=mode, clip_by=0)
    together = GradBoost(weights, config, seed=0)
    together.attach(optimizer := torch.optim.SGD(weights, 0.1))
    alone = [GradBoost([weight], config, seed=0) for weight in weights]
    for step in range(4):
        torch.manual_seed(step)
        for index, weight in enumerate(weights):
            skipped = (step + index) % 3 == 0
            weight.grad = None if skipped else torch.randn_like(weight)
        for each, weight in zip(alone, weights, strict=True):
            each._before_step(torch.optim.SGD([weight], 0.1), (), {})
        optimizer.step()
    assert together.seen == [each.seen[0] for each in alone]
    assert torch.equal(together.largest, torch.cat([each.largest for each in alone]))
    assert torch.equal(together.smallest, torch.cat([each.smallest for each in alone]))


def test_noise_reaches_every_element_of_pieces_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradboost, "CACHED_ELEMENTS", 16)
    weights = [nn.Parameter(torch.zeros(shape)) for shape in ((9, 5), (3,), (2, 2))]
    boost = GradBoost(weights, GradBoostConfig(clip_by=1.0, toss_coin=False, mode=GradBoostMode.released), seed=0)
    optimizer = torch.optim.SGD(weights, 0.0)
    boost.attach(optimizer)
    boost.boost()
    sent = [torch.linspace(-2, 2, weight.numel()).view(weight.shape) for weight in weights]
    for weight, gradient in zip(weights, sent, strict=True):
        weight.grad = gradient.clone()
    optimizer.step()
    for weight, before in zip(weights, sent, strict=True):
        assert weight.grad is not None
        noise = weight.grad - before
        assert bool((noise * before.sign() > 0).eq(before != 0).all())


def _rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    boost = GradBoost(model.parameters(), GradBoostConfig(clip_by=1.0), seed=3)
    boost.attach(optimizer)
    boost.boost()
    for step in range(5):
        optimizer.zero_grad()
        data = torch.randn(8, 4, generator=torch.Generator().manual_seed(10 * step + rank))
        model(data).square().mean().backward()
        optimizer.step()
    torch.save([p.detach() for p in model.parameters()], f"{folder}/{rank}.pt")
    dist.barrier()  # a rank that leaves early can abort the other
    dist.destroy_process_group()


def test_two_ranks_draw_the_same_noise(tmp_path: Path) -> None:
    mp.spawn(_rank, args=(str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
