"""Finals: the best networks of a supernet, each trained alone for some epochs from its weights there.

Beside them stands what one would take without a search: the whole network, with the largest images that fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from frostnas.engine import seed_all, standard_error, weights_of
from frostnas.nets import Net
from frostnas.search.net.alone import OnePath
from frostnas.search.net.budget import Task
from frostnas.search.net.loop import Work, train
from frostnas.search.net.scoring import Score
from frostnas.search.net.strategies import Scored, best_of
from frostnas.search.net.supernet import Supernet
from frostnas.search.spaces.arch import Arch, arch_name, parse_arch

FOLDER = "finals"


def hold_finals(
    work: Work, task: Task, supernet: Supernet, scores: Mapping[str, Score], pick: Scored
) -> tuple[Scored, dict[str, Tensor]]:
    """The best of `search_net.finals` networks after their epochs alone, and its weights.

    It is the whole network with the largest images that fit where the validation images do not tell the best from it
    by one standard error: that one has kept all that was learnt before.

    Args:
        scores: of all networks, in the supernet.
        pick: what the strategy would hand over.
    """
    found: list[Scored] = []
    weights: dict[Arch, dict[str, Tensor]] = {}
    for arch in finalists(task, scores, pick, work.search.finals):
        one, net = tuned(work, supernet, arch)
        found.append(one)
        weights[arch] = weights_of(net)
        work.workspace.say(f"search-net: final {arch_name(arch)}: top-1 {one.score.top1:.2%}")
    won, said = winner(found, whole_that_fits(task), len(work.data.val))
    work.workspace.say(f"search-net: {said}")
    return won, weights[won.arch]


def winner(found: list[Scored], whole: Arch | None, images: int) -> tuple[Scored, str]:
    """What the finals hand over, and why. Args: images: of the scores."""
    best, beside = best_of(found), next((one for one in found if one.arch == whole), None)
    if beside is None or beside is best:
        return best, f"{arch_name(best.arch)} is handed over"
    gain, error = best.score.top1 - beside.score.top1, standard_error(best.score.top1, images)
    won = best if gain > error else beside
    beaten = "the whole network with the largest images that fit"
    gains = f"{arch_name(best.arch)} gains {100 * gain:.1f} ± {100 * error:.1f} points on {beaten}"
    return won, f"{gains}; {arch_name(won.arch)} is handed over"


def whole_that_fits(task: Task) -> Arch | None:
    """The network that leaves nothing out, with the largest images that the budget allows; None where none fits."""
    sized = (replace(task.space.largest, size=size) for size in reversed(task.space.sizes))
    return next((arch for arch in sized if task.latency_ms(arch) <= task.budget_ms and task.keeps(arch)), None)


def finalists(task: Task, scores: Mapping[str, Score], pick: Scored, count: int) -> list[Arch]:
    """The pick, the best ``count`` networks of those that may be picked, and the whole one that fits."""
    ranked = sorted(scores.items(), key=lambda one: one[1], reverse=True)
    admitted = (arch for name, _ in ranked if task.admits(arch := parse_arch(name)))
    best = [arch for arch, _ in zip(admitted, range(count), strict=False)]
    whole = whole_that_fits(task)
    return list(dict.fromkeys([pick.arch, *best, *([whole] if whole else [])]))


def tuned(work: Work, supernet: Supernet, arch: Arch) -> tuple[Scored, Net]:
    """A network after `search_net.final_epochs` fake-quantized epochs alone; an interrupted run goes on."""
    epochs = work.search.final_epochs
    seed_all(work.recipe.seed)
    alone = replace(work, parent=supernet.extract(arch))
    space = supernet.space.only(arch)
    place = replace(work.workspace, run_dir=work.workspace.run_dir / FOLDER / arch_name(arch).replace("|", "_"))
    network = alone.fresh(space, share_weights=False)
    if epochs:
        recipe = replace(work.recipe, float_epochs=0, epochs=epochs)
        train(alone.trainer(network, OnePath(arch), recipe), work.data, place, work.identity, "final")
    kept = alone.fresh(space, share_weights=False)  # without batch norm that waits for other processes
    kept.load_state_dict(network.state_dict())
    return Scored(arch, alone.scorer(kept)(arch)), kept.extract(arch)
