"""Stage 2 on tiny spaces: one path per step, honest scores, picks under the budget, resume to the last digit."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frostnas.artifacts import BlockSpec, LatencyTable
from frostnas.config import BudgetConfig, NetworkSpaceConfig
from frostnas.data import Splits, load
from frostnas.engine import Recipe, Workspace, seed_all, weights_digest
from frostnas.errors import InputError
from frostnas.nets import Net, count
from frostnas.quant import ConvBN, QuantState, Scheme, set_state
from frostnas.search import net
from frostnas.search.net.decisions import Decisions, Expectation
from frostnas.search.net.policy import UniformPaths
from frostnas.search.net.resources import ResourceCounter
from frostnas.search.net.scoring import Score, Scorer
from frostnas.search.net.stage import Goal, Job, search
from frostnas.search.net.strategies import Scored, Strategy, best_of, evolution, likeliest, random_search, reinforce
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.task import make_task
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.arch import Arch, parse_arch
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch
from frostnas.search.spaces.trellis import path_cost
from tests.search_parts import BLOCKS, space_of, table_of, tiny, tiny_config
from tests.watched import Killed, Watched


@pytest.fixture(scope="module")
def data() -> Splits:
    splits = load(tiny_config().data, torch.device("cpu"))
    some = torch.arange(256)
    return replace(splits, train=splits.train.subset(some), val=splits.val.subset(some[:100]))


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return table_of(space_of(tiny_config()))


def test_a_step_runs_one_path_and_moves_no_other_weight(data: Splits) -> None:
    supernet = Supernet(space_of(tiny_config()), Scheme())
    arch = supernet.space.draw(random.Random(0))
    ran: list[torch.nn.Module] = []
    for module in supernet.modules():
        if isinstance(module, ConvBN):
            module.register_forward_hook(lambda module, inputs, output: ran.append(module))
    pixels, labels = next(iter(data.train.batches(8)))
    torch.nn.functional.cross_entropy(supernet(pixels, arch), labels).backward()
    alone = Net(supernet.space.decode(arch))
    assert len(ran) == sum(isinstance(module, ConvBN) for module in alone.modules())
    moved = {name for name, p in supernet.named_parameters() if p.grad is not None and "shared" not in name}
    own = {id(p) for p in supernet.path(arch).parameters()}
    assert moved == {name for name, p in supernet.named_parameters() if id(p) in own}


def test_a_step_keeps_the_activations_of_one_path(data: Splits) -> None:
    space = tiny()
    supernet = Supernet(space, Scheme()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    arch = space.draw(random.Random(0))
    alone = supernet.extract(arch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels, _ = next(iter(data.train.batches(32)))
    for model in (supernet, alone):
        set_state(model, QuantState.FAKE)
    path, single = saved_bytes(lambda: supernet(pixels, arch)), saved_bytes(lambda: alone(pixels))
    assert path <= 1.01 * single


def test_fake_quantized_epochs_of_a_supernet_have_a_rate_of_their_own() -> None:
    config = tiny_config("search_net.qat_lr=0.1", "search_net.optim.schedule=constant", "search_net.optim.lr=0.5")
    supernet = Supernet(space_of(config), Scheme())
    trainer = SupernetTrainer(supernet, UniformPaths(supernet.space, 0), Recipe.of(config, "search_net"), 1)
    rates = []
    for _ in range(trainer.recipe.total_epochs):
        rates.append(trainer.set_lr())
        trainer.progress.next_epoch()
    assert rates == pytest.approx([0.5, 0.05, 0.05])


def test_ghosts_cannot_share_weights() -> None:
    with pytest.raises(InputError, match=r"search_net\.share_weights=true: .*; expected false with block=ghost"):
        Supernet(tiny(GHOST), Scheme())


def saved_bytes(forward: Callable[[], object]) -> int:
    """Bytes of the storages that a forward pass keeps for its backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = forward()
    assert output is not None
    return sum(kept.values())


GHOST = BlockSpec(reuse="none", kind="ghost")


@pytest.mark.parametrize(
    ("block", "share"), [*((block, share) for block in BLOCKS for share in (True, False)), (GHOST, False)]
)
def test_a_path_computes_what_the_network_of_its_spec_computes(data: Splits, block: BlockSpec, share: bool) -> None:
    space = tiny(block, width_factors=[1.0, 1.5])
    supernet = Supernet(space, Scheme(), share_weights=share)
    pixels, _ = next(iter(data.train.batches(8)))
    for seed in range(5):
        arch = space.draw(random.Random(seed))
        alone = supernet.extract(arch)
        assert alone.spec == space.decode(arch)
        with torch.no_grad():
            assert torch.equal(supernet.eval()(pixels, arch), alone.eval()(pixels))


def test_a_score_depends_on_neither_order_nor_former_statistics(data: Splits) -> None:
    seed_all(0)
    supernet = Supernet(space_of(tiny_config()), Scheme())
    first, second = (supernet.space.draw(random.Random(seed)) for seed in (0, 1))
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    one = Scorer(supernet, data, 64, 2, seed=0)
    scores = [one(first), one(second)]
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    set_state(supernet, QuantState.OBSERVE)
    supernet.train()(next(iter(data.train.batches(64)))[0], first)
    other = Scorer(supernet, data, 64, 2, seed=0)
    assert [other(second), other(first)] == scores[::-1]


def test_the_better_score_is_that_of_the_lower_loss() -> None:
    arch = parse_arch("8px|16:k3e3r4")
    found = [Scored(arch, Score(0.6, -1.2)), Scored(arch, Score(0.5, -1.0)), Scored(arch, Score(0.7, -1.1))]
    assert best_of(found) is found[1]


def test_a_distribution_of_one_network_still_gives_a_population(table: LatencyTable) -> None:
    config = tiny_config("search_net.population=12").search_net
    space = space_of(tiny_config())
    task, decisions = make_task(BudgetConfig(fraction=0.5), space, table, config.population), Decisions(space)
    mode = task.draw(task.window(), random.Random(0))
    with torch.no_grad():
        for edge in space.to_path(mode):
            decisions.logits["_".join(map(str, edge.slot))][edge.option] = 40.0
    seen: list[Arch] = []

    def evaluate(archs: list[Arch]) -> list[Score]:
        seen.extend(archs)
        return [Score(0.5, -1.0) for _ in archs]

    assert likeliest(task, evaluate, config, 0, decisions).arch == mode
    assert len(seen) == len(set(seen)) == 12
    assert all(map(task.admits, seen))


@pytest.mark.parametrize("strategy", [evolution, random_search, reinforce])
def test_no_strategy_scores_more_networks_than_it_may(strategy: Strategy, table: LatencyTable) -> None:
    words = ("search_net.population=6", "search_net.generations=3", "search_net.reinforce.batch=5")
    config, rng = tiny_config(*words).search_net, random.Random(0)
    task = make_task(BudgetConfig(fraction=0.5), space_of(tiny_config()), table, config.population)
    worth: dict[Arch, Score] = {}

    def evaluate(archs: list[Arch]) -> list[Score]:
        return [worth.setdefault(arch, Score(rng.random(), -rng.random())) for arch in archs]

    pick = strategy(task, evaluate, config, 0)
    assert pick.score == max(score for arch, score in worth.items() if task.admits(arch))
    assert 12 <= len(worth) <= 18


def test_expected_latency_is_the_mean_over_the_enumerated_networks() -> None:
    space = tiny(width_factors=[1.0, 1.5])
    table = table_of(space)
    decisions = Decisions(space)
    with torch.no_grad():
        for logits in decisions.parameters():
            logits.copy_(torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)))
    chance = {arch: decisions.log_probability(arch).exp().item() for arch in space}
    mean = sum(p * table.predict_ms(space.decode(arch)) for arch, p in chance.items()) / sum(chance.values())
    expected = Expectation(space, table.workload_ms)(decisions.probabilities())
    assert expected.item() == pytest.approx(mean, rel=1e-9)
    expected.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in decisions.parameters())


@pytest.mark.parametrize("strategy", ["evolution", "random", "reinforce", "gradient"])
def test_every_strategy_picks_close_under_the_budget(
    strategy: str, data: Splits, table: LatencyTable, tmp_path: Path
) -> None:
    config = tiny_config(f"search_net={strategy}", "budget.fraction=0.6")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        result, rows, weights, _ = net.run(config, data, space_of(config), table, workspace, "one")
    Net(result.net).load_state_dict(weights)
    assert result.weights_sha256 == weights_digest(weights)
    assert 0.97 * result.budget_ms <= result.predicted_ms <= result.budget_ms
    assert result.predicted_ms == table.predict_ms(result.net)
    assert result.strategy == strategy
    assert result.evaluated == len(rows)
    assert [row.network for row in rows if row.picked] == [result.net.name]
    assert any(row.on_front for row in rows)
    assert all(parse_arch(row.network) for row in rows)


def test_random_search_can_train_networks_alone_at_the_supernets_cost(
    data: Splits, table: LatencyTable, tmp_path: Path
) -> None:
    config = tiny_config("search_net=random", "search_net.alone=2", "search_net.float_epochs=2")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        result, rows, weights, _ = net.run(config, data, space_of(config), table, workspace, "one")
        again = net.run(config, data, space_of(config), table, workspace, "one")
    Net(result.net).load_state_dict(weights)
    assert (again.rows, again.result.weights_sha256) == (rows, weights_digest(weights))
    assert [row.network for row in rows if row.picked] == [result.net.name]
    assert all(0.97 * result.budget_ms <= row.latency_ms <= result.budget_ms for row in rows)
    assert result.alone and all(row.alone and not row.measured for row in rows)
    epochs = [path.read_text().count("\n") - 1 for path in tmp_path.glob("alone/*/metrics/search-net.csv")]
    assert epochs == [2, 2]  # of 4 that a supernet would take


@pytest.mark.parametrize(("strategy", "alone"), [("evolution", 2), ("random", 3)])
def test_networks_alone_that_cannot_be_are_refused(
    strategy: str, alone: int, data: Splits, table: LatencyTable, tmp_path: Path
) -> None:
    config = tiny_config(f"search_net={strategy}", f"search_net.alone={alone}")
    with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(InputError, match=r"search_net\.alone="):
        net.run(config, data, space_of(config), table, workspace, "one")


def test_limits_hold_together(table: LatencyTable) -> None:
    space, count = space_of(tiny_config()), ResourceCounter()
    middle = space.to_path(space.draw(random.Random(3)))
    budget = BudgetConfig(
        fraction=0.5,
        size_bytes=int(path_cost(middle, count.size_bytes)),
        macs=int(path_cost(middle, count.macs)),
        peak_activation_bytes=8 * 8 * 16 * 8,
    )
    task, rng = make_task(budget, space, table, 4), random.Random(0)
    assert task.admits(task.sure)
    for _ in range(20):
        path = space.to_path(task.draw(task.window(), rng))
        assert path_cost(path, table.workload_ms) <= task.budget_ms
        assert path_cost(path, count.size_bytes) <= budget.size_bytes
        assert path_cost(path, count.macs) <= budget.macs
        assert max(count.peak_activation_bytes(p) for edge in path for p in edge.parts) <= budget.peak_activation_bytes


@pytest.mark.parametrize("key", ["size_bytes", "macs", "peak_activation_bytes"])
def test_an_impossible_limit_names_its_key_and_the_least(key: str, table: LatencyTable) -> None:
    with pytest.raises(InputError, match=rf"budget\.{key}=5: .* the least is \d+"):
        make_task(BudgetConfig(**{key: 5}), space_of(tiny_config()), table, 4)


def test_resources_add_up_to_those_of_the_whole_network() -> None:
    space, counter = space_of(tiny_config()), ResourceCounter()
    spec = space.sample(random.Random(5))
    assert sum(counter.macs(part) for part in spec.workloads()) == count(spec).macs


@pytest.mark.parametrize(
    ("strategy", "batches"),
    [
        ("evolution", 16),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (("evolution", 3), ("gradient", 10), ("reinforce", 17), ("random", 18))
        ),
    ],
)
def test_a_killed_search_goes_on_to_the_same_network(
    strategy: str, batches: int, data: Splits, table: LatencyTable, tmp_path: Path
) -> None:
    """12 training steps (a checkpoint after each), then networks are scored, on a batch each."""
    config = tiny_config(f"search_net={strategy}")
    lives: list[None] = [None] * batches
    mortal = replace(data, train=Watched(data.train, lives), val=Watched(data.val, lives))
    with Workspace.open(tmp_path / "whole", quiet=True) as workspace:
        whole = net.run(config, data, space_of(config), table, workspace, "one")
    with Workspace.open(tmp_path / "killed", quiet=True, checkpoint_s=0.0) as workspace:
        with pytest.raises(Killed):
            net.run(config, mortal, space_of(config), table, workspace, "one")
        resumed = net.run(config, data, space_of(config), table, workspace, "one")
    assert resumed[1] == whole[1]
    assert replace(resumed[0], seconds=0.0) == replace(whole[0], seconds=0.0)
    files = [(tmp_path / name / "metrics" / "search-net.csv").read_text() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_an_impossible_budget_names_the_fastest_network(table: LatencyTable) -> None:
    space = space_of(tiny_config())
    fastest = space.fastest(table)[1]
    with pytest.raises(InputError, match=rf"budget\.latency_ms=0\.01.*fastest takes {fastest:.4g} ms"):
        make_task(BudgetConfig(latency_ms=0.01), space, table, 4)


def test_a_budget_that_only_the_fastest_network_meets_gives_that_network() -> None:
    space = NetworkSpace(from_scratch(NetworkSpaceConfig(), BlockSpec(), [224], 1000))
    table = table_of(space)
    task = make_task(BudgetConfig(fraction=0.0), space, table, 16)
    assert task.latency_ms(task.draw(task.window(), random.Random(0))) == space.fastest(table)[1]


def test_a_budget_above_the_slowest_network_is_said(data: Splits, table: LatencyTable, tmp_path: Path) -> None:
    config = tiny_config("budget.latency_ms=99")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        net.run(config, data, space_of(config), table, workspace, "one")
    assert "above the slowest network" in (tmp_path / "frostnas.log").read_text()


def test_several_targets_share_one_supernet(data: Splits, table: LatencyTable, tmp_path: Path) -> None:
    config, train = tiny_config(), Watched(data.train)
    targets = [
        Goal(table, BudgetConfig(fraction=0.3)),
        Goal(table_of(space_of(config), seed=1), BudgetConfig(fraction=0.7)),
    ]
    with Workspace.open(tmp_path, quiet=True) as workspace:
        found = search(Job(config, replace(data, train=train), space_of(config), targets, workspace, "one"))
    assert len(train.seen) == 12 + 1  # of three epochs, and for the statistics of those that are scored
    for target, (result, *_) in zip(targets, found, strict=True):
        assert 0.97 * result.budget_ms <= target.table.predict_ms(result.net) <= result.budget_ms


def test_finals_hand_over_the_best_after_some_epochs_alone(data: Splits, table: LatencyTable, tmp_path: Path) -> None:
    config = tiny_config("search_net.finals=2", "search_net.final_epochs=1", "search_net=random")
    with Workspace.open(tmp_path, quiet=True) as workspace:
        result, rows, weights, _ = net.run(config, data, space_of(config), table, workspace, "one")
        again = net.run(config, data, space_of(config), table, workspace, "one")
    said = re.findall(r"final (\S+): top-1 (\S+)%", (tmp_path / "frostnas.log").read_text())
    assert len(said) == 2 * len(set(said)) >= 4
    assert f"{100 * result.top1:.2f}" == dict(said)[result.net.name]
    Net(result.net).load_state_dict(weights)
    assert (again.rows, again.result.weights_sha256) == (rows, result.weights_sha256)
    assert result.predicted_ms <= result.budget_ms
    assert [row.network for row in rows if row.picked] == [result.net.name]
