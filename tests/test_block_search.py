"""The block-search stage on a toy data set: the classic faults of such code are absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frostnas.artifacts import BlockResult, BlockSpec, ImageFormat, NetSpec, Provenance, SplitRecord, load, save
from frostnas.config import BlockSpaceConfig, Config, ProxyConfig
from frostnas.config.compose import compose_config
from frostnas.config.data import AugmentConfig
from frostnas.data import Splits
from frostnas.data.memory import MemoryImages
from frostnas.engine import Recipe, Workspace
from frostnas.errors import InputError
from frostnas.search import block as search_block
from frostnas.search.block import costs, seed
from frostnas.search.block.costs import SlotCosts, measure_costs
from frostnas.search.block.plan import survivors
from frostnas.search.block.seed import halves
from frostnas.search.block.supernet.mixture import Architecture
from frostnas.search.block.trials.proxy import proxy_spec
from frostnas.search.block.trials.train import Scores, Trial, train_alone
from frostnas.search.block.verdict import entropy, margin, slot_results, warnings
from frostnas.search.spaces.block import BlockSpace, block_code, parse_block
from tests.watched import Killed, Watched

TINY = [
    "search_block.batch_size=16",
    "search_block.float_epochs=1",
    "search_block.epochs=2",
    "search_block.compare_epochs=1",
    "search_block.finalist_epochs=1",
    "search_block.finalists=1",
    "search_block.refinements=0",
    "search_block.finals=1",
    "search_block.published=[]",
    "search_block.random_blocks=1",
    "search_block.proxy.stem_channels=16",
    "search_block.proxy.widths=[16]",
    "search_block.proxy.depths=[1]",
    "search_block.proxy.strides=[1]",
    "search_block.proxy.head_channels=16",
    "space.block.reuse=[none,squeeze_2]",
    "space.block.expand=[2,3]",
    "space.block.spatial=[depthwise_3,depthwise_5,max_pool_3]",
    "space.block.activation=[relu,hard_swish]",
]
CPU = torch.device("cpu")
IMAGES = ImageFormat(("left", "right"), 8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def pictures(count: int, salt: int) -> MemoryImages:
    """Noise that is brighter on the side that the label names; the top left pixel numbers the image."""
    generator = torch.Generator().manual_seed(salt)
    pixels = torch.randint(0, 120, (count, 3, 8, 8), generator=generator)
    labels = torch.arange(count) % 2
    pixels[labels == 0, :, :, :4] += 100
    pixels[labels == 1, :, :, 4:] += 100
    pixels[:, :, 0, 0] = torch.arange(count).view(-1, 1)
    return MemoryImages(pixels.to(torch.uint8), labels, IMAGES, AugmentConfig())


DATA = Splits(
    IMAGES, SplitRecord("toy", 0, 96, 24, 24, None, None, ()), pictures(96, 0), pictures(24, 1), pictures(24, 2)
)


def measure(specs: Sequence[NetSpec]) -> list[float]:
    """Made-up latencies in which every slot counts."""

    def cost(block: BlockSpec) -> float:
        extra = 0.3 * (block.gate != "none") + 0.2 * (block.activation == "hard_swish") + 0.1 * (block.skip == "add")
        return 1 + block.expand * (1 + 0.1 * block.kernel) + block.squeeze * 0.2 + extra

    return [cost(spec.layers[0].block) for spec in specs]


@cache
def config_of(*overrides: str) -> Config:
    return compose_config([*TINY, *overrides])


def search(folder: Path, *overrides: str, data: Splits = DATA, trial: Trial = train_alone) -> BlockResult:
    """The whole stage."""
    with Workspace.open(folder, quiet=True) as workspace:
        return search_block.run(config_of(*overrides), data, measure, workspace, " ".join(overrides), trial)


def killed(folder: Path, *overrides: str, data: Splits = DATA, trial: Trial = train_alone) -> None:
    """The stage until something kills it, with a checkpoint after every step."""
    with Workspace.open(folder, quiet=True, checkpoint_s=0.0) as workspace, pytest.raises(Killed):
        search_block.run(config_of(*overrides), data, measure, workspace, " ".join(overrides), trial)


def scoring(loss: Callable[[BlockSpec], float]) -> Trial:
    """A training that is over at once and ends in a made-up loss."""

    def trial(recipe: Recipe, spec: NetSpec, data: Splits) -> Iterator[Scores | None]:
        yield Scores(0.5, 0.5, loss(spec.layers[0].block))

    return trial


def timeless(result: BlockResult) -> BlockResult:
    return replace(result, seconds=0.0, seeds=tuple(replace(seed, seconds=0.0) for seed in result.seeds))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> BlockResult:
    return search(tmp_path_factory.mktemp("run"))


def test_the_result_is_a_block_of_the_space_with_its_history_and_its_rivals(result: BlockResult) -> None:
    assert result.block in BlockSpace(config_of().space.block)
    assert [row.phase for row in result.history] == ["warm-up", "search", "search"]
    assert [one.name for one in result.comparison][:4] == ["found", "frost", "mobilenet_v2", "mobilenet_v3"]
    assert len(result.comparison) == 5
    assert all(0 <= one.top1_int8 <= 1 and one.latency_ms > 0 for one in result.comparison)


def test_the_result_is_read_back_as_it_was_saved(result: BlockResult, tmp_path: Path) -> None:
    save(tmp_path / "block.json", result, Provenance())
    assert load(tmp_path / "block.json", BlockResult).value == result


def test_warm_up_moves_no_architecture_weight_and_the_search_moves_all(result: BlockResult) -> None:
    first, *_, last = result.history
    for slot, probabilities in first.probabilities.items():
        assert probabilities == pytest.approx([1 / len(probabilities)] * len(probabilities))
        assert last.probabilities[slot] != first.probabilities[slot]


def batches_of(folder: Path) -> tuple[list[Tensor], list[Tensor]]:
    """The numbers of the images in every batch of a search: of those for the weights, and for the architecture."""
    train = Watched(DATA.train)
    search(folder, data=replace(DATA, train=train), trial=scoring(lambda block: 0.0))
    weights, architecture = (part.seen for part in train.parts if part.seen)
    return list(map(numbers, weights)), list(map(numbers, architecture))


def numbers(batch: tuple[Tensor, Tensor]) -> Tensor:
    return (batch[0][:, 0, 0, 0] * 0.25 * 255 + 0.5 * 255).round().long()


def test_weights_and_architecture_learn_from_different_images(tmp_path: Path) -> None:
    weights, architecture = (set(torch.cat(batches).tolist()) for batches in batches_of(tmp_path))
    assert not weights & architecture
    assert len(weights) == len(architecture) == 48


def test_architecture_steps_see_every_held_out_batch(tmp_path: Path) -> None:
    _, batches = batches_of(tmp_path)
    steps = len(batches) // 3
    for epoch in range(3):
        assert len(torch.cat(batches[epoch * steps : (epoch + 1) * steps]).unique()) == 48


def test_halves_are_equal_and_share_nothing() -> None:
    first, second = halves(pictures(97, 0), seed=3)
    assert len(first) == len(second) == 48


def test_the_best_epoch_is_taken_not_the_last(tmp_path: Path) -> None:
    """The blocks of all epochs are trained alone; here that of the first is made the best."""
    words = ("search_block.float_epochs=0", "search_block.epochs=4", "search_block.arch_lr=0.5")
    first, *_, last = search(tmp_path / "any", *words, trial=scoring(lambda block: 0.0)).history
    assert first.block != last.block
    found = search(tmp_path / "run", *words, trial=scoring(lambda block: 1000.0 * (block_code(block) != first.block)))
    assert found.seeds[0].best_epoch == 1
    assert block_code(found.block) == first.block
    assert any("not the best alone" in line for line in found.warnings)


def test_the_found_block_is_trained_with_the_settings_it_was_searched_with(tmp_path: Path) -> None:
    built: list[tuple[Recipe, NetSpec]] = []

    def trial(recipe: Recipe, spec: NetSpec, data: Splits) -> Iterator[Scores | None]:
        built.append((recipe, spec))
        return train_alone(recipe, spec, data)

    found = search(tmp_path, "quant.weight_bits=7", "quant.averaging=0.05", trial=trial)
    for recipe, spec in built:
        assert (recipe.scheme.weight_bits, recipe.scheme.averaging) == (7, 0.05)
        assert (spec.stem.channels, spec.head.channels, spec.image_size, spec.head.classes) == (16, 16, 8, 2)
    one = found.seeds[0]
    before = [parse_block(code) for code in (*one.finalists, *one.finals)]
    compared = [contender.block for contender in found.comparison]
    assert [spec.layers[0].block for _, spec in built] == [*before, *compared]


def test_longer_searches_end_elsewhere(result: BlockResult, tmp_path: Path) -> None:
    longer = search(tmp_path, "search_block.epochs=5")
    assert longer.seeds[0].probabilities != result.seeds[0].probabilities


def test_every_epoch_names_the_block_of_its_own_architecture_weights(result: BlockResult) -> None:
    for row in result.history:
        assert block_code(likeliest(row.probabilities)) == row.block
    assert {parse_block(code) for code in result.seeds[0].finalists} == {
        parse_block(row.block) for row in result.history if row.phase == "search"
    }


def likeliest(probabilities: Mapping[str, tuple[float, ...]]) -> BlockSpec:
    space = BlockSpace(config_of().space.block)
    return space.decode(tuple(probabilities[slot].index(max(probabilities[slot])) for slot in space.slots))


@pytest.mark.parametrize("option", ["search_block.order=2", "search_block.paths=sampled"])
def test_nothing_asks_for_cuda(option: str, tmp_path: Path) -> None:
    search(tmp_path, option, "search_block.epochs=1", "search_block.random_blocks=0")
    assert not torch.cuda.is_initialized()


def test_the_latency_term_has_a_gradient_in_every_slot_and_can_decide_alone(tmp_path: Path) -> None:
    cheap = search(tmp_path, "search_block.latency_weight=1000", "search_block.arch_lr=0.3", "search_block.epochs=4")
    cheapest = min(measure([cheap_net(block)])[0] for block in BlockSpace(config_of().space.block))
    assert measure([cheap_net(cheap.block)])[0] == cheapest


def cheap_net(block: BlockSpec) -> NetSpec:
    return proxy_spec(
        ProxyConfig(stem_channels=16, widths=[16], depths=[1], strides=[1], head_channels=16), block, 8, 2
    )


def test_expected_latency_is_the_mean_over_blocks() -> None:
    space = BlockSpace(BlockSpaceConfig(reuse=["none"], expand=[3, 6], spatial=["depthwise_3", "depthwise_5"]))
    costs = measure_costs(space, cheap_net, measure)
    arch = Architecture(space, CPU)
    average = sum(costs.predict_ms(space, block) for block in space) / len(space)
    assert costs.expected_ms(arch.probabilities()).item() == pytest.approx(average, rel=1e-5)
    assert costs.mean_ms() == pytest.approx(average)
    assert costs.predict_ms(space, space.decode((0,) * 6)) == measure([cheap_net(space.decode((0,) * 6))])[0]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BlockResult]:
    """What a search with these overrides gives when nothing stops it."""
    return cache(lambda *overrides: search(tmp_path_factory.mktemp("whole"), *overrides))


SEEDS = ("search_block.seeds=2", "search_block.random_blocks=0")
PROGRESSIVE = ("search_block.progressive=true", "search_block.epochs=3", "search_block.random_blocks=0")


@pytest.mark.parametrize(
    ("overrides", "steps", "of"),
    [
        ((), 5, 9),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (
                ((), 1, 9),
                ((), 8, 9),
                (("search_block.paths=sampled",), 5, 9),
                (("search_block.order=2",), 7, 9),
                (PROGRESSIVE, 6, 18),
                (PROGRESSIVE, 11, 18),
                (SEEDS, 13, 18),
            )
        ),
    ],
)
def test_killed_at_any_step_and_run_again_it_gives_the_same_result(
    tmp_path: Path, uninterrupted: Callable[..., BlockResult], overrides: tuple[str, ...], steps: int, of: int
) -> None:
    """A step takes a batch for the weights and one for the architecture."""
    whole, train = uninterrupted(*overrides), Watched(DATA.train)
    killed(tmp_path, *overrides, data=replace(DATA, train=Watched(DATA.train, 2 * steps, counts=False)))
    assert timeless(search(tmp_path, *overrides, data=replace(DATA, train=train))) == timeless(whole)
    weights = [part for number, part in enumerate(train.parts) if number % 2 == 0]
    assert sum(len(part.seen) for part in weights) == of - steps


REUSE_IS_BETTER = scoring(lambda block: 1000.0 * (block.reuse == "none"))
FROST_IS_BETTER = scoring(lambda block: 1000.0 * (block != parse_block("frost")))


def test_a_block_beside_the_finalists_wins_where_it_is_better_alone(tmp_path: Path) -> None:
    """The latency term decides the architecture alone; of all 96 blocks, those with reuse are better."""
    words = ("search_block.refinements=95", "search_block.arch_lr=0.3", "search_block.latency_weight=100")
    found = search(tmp_path, *words, trial=REUSE_IS_BETTER)
    assert parse_block(found.history[-1].block).reuse == "none"
    assert found.block.reuse == "squeeze_2"
    assert any(line.startswith("reuse: squeeze_2 was better when trained alone") for line in found.warnings)
    assert min(found.seeds[0].finals, key=found.seeds[0].finals.__getitem__) == block_code(found.block)


def test_half_of_the_finalists_owe_nothing_to_the_architecture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However sure it is: here it would never draw a block with reuse."""
    monkeypatch.setattr(seed, "drawn", lambda space, *_: [block for block in space if block.reuse == "none"])
    found = search(tmp_path, "search_block.finalists=20", trial=REUSE_IS_BETTER)
    finalists = list(map(parse_block, found.seeds[0].finalists))
    assert len(set(finalists)) == 20
    assert any(block.reuse == "squeeze_2" for block in finalists[10:])
    assert found.block.reuse == "squeeze_2"


def test_published_blocks_meet_the_best_finalists_and_the_result_says_who_won(tmp_path: Path) -> None:
    names = ("frost", "mobilenet_v2", "mobilenet_v3")
    space = ("space.block.reuse=[none,squeeze_4]", "space.block.expand=[3,6]", "space.block.activation=[relu,relu6]")
    words = (f"search_block.published=[{','.join(names)}]", "search_block.finals=2")
    found = search(tmp_path, *space, *words, trial=FROST_IS_BETTER)
    one = found.seeds[0]
    own = sorted(one.finalists, key=one.finalists.__getitem__)[:2]
    frost, v2 = (block_code(parse_block(name)) for name in names[:2])  # the third is no block of this space
    assert list(one.finals) == list(dict.fromkeys([*own, frost, v2]))
    assert block_code(one.own) == own[0] != frost
    assert block_code(found.block) == frost
    assert any(
        f"frost is a published block; the search's own best, {own[0]}, scored" in line for line in found.warnings
    )


class Trials:
    """`train_alone` for a number of networks, and a list of them."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.trained: list[tuple[int, NetSpec]] = []

    def __call__(self, recipe: Recipe, spec: NetSpec, data: Splits) -> Iterator[Scores | None]:
        if len(self.trained) == self.most:
            raise Killed
        self.trained.append((recipe.seed, spec))
        return train_alone(recipe, spec, data)


@pytest.mark.parametrize("after", [pytest.param(2, marks=pytest.mark.slow), 6, pytest.param(9, marks=pytest.mark.slow)])
def test_killed_among_the_finalists_it_trains_none_twice(tmp_path: Path, after: int) -> None:
    """Of 3 finalists, 3 more and 2 finals for each of two seeds, some the same, so many are done before."""
    words = ("finalists=3", "refinements=3", "finals=2", "random_blocks=0", "seeds=2")
    overrides = [f"search_block.{word}" for word in words]
    first, then, whole = Trials(after), Trials(), Trials()
    killed(tmp_path / "killed", *overrides, trial=first)
    resumed = search(tmp_path / "killed", *overrides, trial=then)
    assert timeless(resumed) == timeless(search(tmp_path / "whole", *overrides, trial=whole))
    assert first.trained + then.trained == whole.trained
    finals = len(whole.trained) - len(resumed.comparison)
    assert len(set(whole.trained[:finals])) == finals


@pytest.mark.slow
def test_killed_in_the_comparison_it_trains_no_block_twice(tmp_path: Path) -> None:
    whole = Trials()
    result = search(tmp_path / "whole", trial=whole)
    first, then = Trials(len(whole.trained) - 3), Trials()
    killed(tmp_path / "killed", trial=first)
    assert timeless(search(tmp_path / "killed", trial=then)) == timeless(result)
    assert first.trained + then.trained == whole.trained


def test_costs_of_another_identity_are_not_gone_on_from(tmp_path: Path) -> None:
    measured: list[int] = []

    def counted(specs: Sequence[NetSpec]) -> list[float]:
        measured.append(1)
        return measure(specs)

    for threads, times in ((1, 1), (1, 1), (2, 2)):
        mortal = replace(DATA, train=Watched(DATA.train, 0, counts=False))
        with Workspace.open(tmp_path, quiet=True) as workspace, pytest.raises(Killed):
            search_block.run(config_of(), mortal, counted, workspace, f"{threads} threads")
        assert len(measured) == times * costs.SESSIONS


@pytest.mark.slow
def test_second_order_progressive_and_several_seeds_run_and_report(tmp_path: Path) -> None:
    second = search(tmp_path / "second", "search_block.order=2")
    assert second.block in BlockSpace(config_of().space.block)
    found = search(tmp_path / "more", "search_block.progressive=true", "search_block.epochs=3", "search_block.seeds=2")
    assert {seed.seed for seed in found.seeds} == {0, 1}
    last = found.history[-1].probabilities["spatial"]
    assert sum(p == 0 for p in last) == 1
    assert all(slot.agreement in (0.0, 0.5, 1.0) for slot in found.slots)
    assert len(found.history) == 2 * (3 + 3)


def test_progressive_phases_keep_the_likeliest_candidates() -> None:
    kept = {"spatial": (0, 1, 2, 3, 4), "skip": (0, 1)}
    probabilities = {"spatial": (0.1, 0.3, 0.05, 0.35, 0.2), "skip": (0.9, 0.1)}
    assert survivors(kept, probabilities, 1, 3) == {"spatial": (1, 3, 4), "skip": (0, 1)}
    assert survivors(kept, probabilities, 2, 3) == {"spatial": (1, 3), "skip": (0, 1)}


def test_collapse_ties_gaps_and_disagreement_are_said(result: BlockResult) -> None:
    space = BlockSpace(config_of().space.block)
    pool = parse_block("none-2-max_pool_3-relu-none-none")
    even = {slot: (1 / len(p),) * len(p) for slot, p in result.seeds[0].probabilities.items()}
    one = replace(result.seeds[0], block=pool, own=pool, probabilities=even)
    plain = parse_block("none-2-depthwise_3-relu-none-none")
    other = replace(one, seed=1, block=plain, own=plain)
    gap = replace(result.history[-1], top1_mixed=0.9, top1_path=0.3, block=block_code(pool))
    seeds = (one, other)
    lines = "\n".join(warnings(slot_results(space, pool, seeds), [gap, replace(gap, seed=1)], seeds))
    assert "spatial: collapsed onto max_pool_3" in lines
    assert "spatial: 50% of 2 seeds chose max_pool_3" in lines
    assert "discretization gap" in lines
    assert "no clear winner" in lines


def test_margin_and_entropy() -> None:
    assert margin((0.2, 0.7, 0.1)) == pytest.approx(0.5)
    assert entropy((0.25,) * 4) == pytest.approx(1)
    assert entropy((1.0, 0.0)) == 0


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"search_block\.order=2: needs search_block\.paths=all"):
        search(tmp_path, "search_block.order=2", "search_block.paths=sampled")
    with pytest.raises(InputError, match="block resnet: expected frost"):
        search(tmp_path, "search_block.published=[resnet]")
    with pytest.raises(InputError, match=r"search_block\.proxy\.strides"):
        search(tmp_path, "search_block.proxy.strides=[1,1]")


def test_costs_are_kept_for_the_candidates_that_are_left() -> None:
    costs = SlotCosts(2.0, {"skip": (1.0, 1.5, 3.0)})
    assert costs.restricted({"skip": (0, 2)}).factors == {"skip": (1.0, 3.0)}
