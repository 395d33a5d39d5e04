"""Stage 2 as a whole: train the supernet, let the strategy pick, report everything that was scored."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import torch

from frostnas.artifacts import BlockSpec, LatencyTable, NetResult, ParetoRow, sha256_of_value
from frostnas.config import Config, Strategy
from frostnas.config.compose import to_plain
from frostnas.data import Splits, batch_count, derived_seed
from frostnas.engine import Workspace, seed_all
from frostnas.engine.interrupt import Interrupts
from frostnas.errors import InputError
from frostnas.quant import Scheme
from frostnas.search.net import strategies
from frostnas.search.net.budget import Task, make_task
from frostnas.search.net.pareto import pareto_rows
from frostnas.search.net.saving import Saver
from frostnas.search.net.scoring import Score, Scorer
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from frostnas.search.spaces.network import Arch, NetworkSpace, arch_name
from frostnas.search.spaces.trellis import Window

SUPERNET, SCORES = "search_net.pt", "search_net_scores.pt"
PICK: dict[Strategy, strategies.Strategy] = {
    Strategy.evolution: strategies.evolution,
    Strategy.random: strategies.random_search,
}


def run(
    config: Config, data: Splits, block: BlockSpec, table: LatencyTable, workspace: Workspace
) -> tuple[NetResult, tuple[ParetoRow, ...]]:
    """Search the network space of ``block`` under `budget`; an interrupted run of the same config goes on.

    Raises:
        InputError: no network fits the budget, the space makes no network, or the table does not hold it.
        SearchError, RangeError: the loss or an activation is not a finite number.
    """
    search = config.search_net
    if search.strategy not in PICK:
        raise InputError(f"search_net.strategy={search.strategy.value}: expected {', '.join(s.value for s in PICK)}")
    seed_all(config.seed)
    space = NetworkSpace(config.space.network, block, data.format.image_size, len(data.format.classes))
    task = make_task(config.budget, space, table, search.population)
    _announce(task, workspace)
    start = time.monotonic()
    fingerprint = _fingerprint(config, data, block, table)
    supernet = train_supernet(config, space, data, workspace, fingerprint)
    scorer = Scorer(supernet, data, search.batch_size, search.recalibration_batches, config.seed)
    pick = _score(task, scorer, config, workspace, fingerprint)
    result = NetResult(
        net=space.decode(pick.arch),
        strategy=search.strategy.value,
        budget_ms=task.budget_ms,
        predicted_ms=task.latency_ms(pick.arch),
        top1_supernet=pick.score.top1,
        evaluated=len(scorer.scores),
        seed=config.seed,
        seconds=time.monotonic() - start,
    )
    return result, pareto_rows(task, scorer.scores, pick.arch)


def _announce(task: Task, workspace: Workspace) -> None:
    count, limits = task.space.count(), f"{task.fastest_ms:.4g} to {task.slowest_ms:.4g} ms"
    workspace.say(f"search-net: {count:,} networks of {limits}; budget {task.budget_ms:.4g} ms")
    if task.budget_ms > task.slowest_ms:
        workspace.say(
            f"search-net: the budget is above the slowest network's {task.slowest_ms:.4g} ms, so every network fits"
        )


def train_supernet(
    config: Config, space: NetworkSpace, data: Splits, workspace: Workspace, fingerprint: str
) -> Supernet:
    """The supernet after all its epochs, with one uniformly drawn path per step."""
    scheme = Scheme(config.quant.weight_bits, config.quant.signed_activations, config.quant.averaging)
    search = config.search_net
    supernet = Supernet(space, scheme)
    supernet.to(data.train.labels.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = batch_count(len(data.train), search.batch_size, shuffled=True)
    trainer = SupernetTrainer(supernet, config, steps)
    with Interrupts() as interrupts:
        saver = Saver(workspace.checkpoints / SUPERNET, fingerprint, trainer.state_dict, interrupts)
        if (state := saver.load()) is not None:
            trainer.load_state_dict(state)
        _epochs(trainer, data, workspace, saver)
        saver.save()
    return supernet


def _epochs(trainer: SupernetTrainer, data: Splits, workspace: Workspace, saver: Saver) -> None:
    """All epochs from the trainer's position on."""
    progress, steps = trainer.progress, trainer.steps_per_epoch
    config = trainer.config
    metrics = workspace.metrics("search_net", keep=progress.epoch)
    with workspace.progress("supernet", trainer.epochs * steps, progress.epoch * steps + progress.step) as bar:
        while progress.epoch < trainer.epochs:
            trainer.begin_epoch()
            seed = derived_seed(config.seed, progress.epoch)
            batches = data.train.batches(config.search_net.batch_size, seed=seed, augment=True, skip=progress.step)
            for pixels, labels in batches:
                trainer.step(pixels, labels, trainer.uniform_path())
                bar.step(loss=progress.loss_sum / progress.step)
                if progress.step < steps:  # the epoch's last state is saved after its row
                    saver.after_step()
            metrics.row(
                epoch=progress.epoch + 1, phase=trainer.state.value, lr=trainer.lr, loss=progress.loss_sum / steps
            )
            trainer.next_epoch()
            saver.after_step()


def _score(task: Task, scorer: Scorer, config: Config, workspace: Workspace, fingerprint: str) -> strategies.Scored:
    """The strategy's pick; beside it networks of every latency are scored, for the front."""
    search = config.search_net
    with Interrupts() as interrupts:
        saver = Saver(
            workspace.checkpoints / SCORES,
            fingerprint,
            lambda: {name: [score.top1, score.negative_loss] for name, score in scorer.scores.items()},
            interrupts,
        )
        scorer.scores.update({name: Score(*values) for name, values in (saver.load() or {}).items()})
        total = search.population * search.generations + search.front_networks
        with workspace.progress("networks", total) as bar:

            def evaluate(arch: Arch) -> Score:
                score = scorer(arch)
                bar.step(top1=score.top1)
                saver.after_step()
                return score

            pick = PICK[search.strategy](task, evaluate, search, config.seed)
            for arch in spread(task, search.front_networks, config.seed):
                evaluate(arch)
        saver.save()
    return pick


def spread(task: Task, networks: int, seed: int) -> list[Arch]:
    """Networks of evenly spaced latencies from the fastest to the slowest."""
    rng, step = random.Random(seed), (task.slowest_ms - task.fastest_ms) / max(1, networks)
    found = {}
    for number in range(networks):
        low = task.fastest_ms + number * step
        path = Window(task.space.trellis, task.table.workload_ms, low, low + step).sample(rng)
        if path is not None:
            arch = task.space.from_path(path)
            found[arch_name(arch)] = arch
    return list(found.values())


def _fingerprint(config: Config, data: Splits, block: BlockSpec, table: LatencyTable) -> str:
    """Hash of everything that the result depends on."""
    where = replace(config.data, root="", workers=0, download=False)
    parts = [to_plain(part) for part in (config.search_net, config.space.network, config.budget, config.quant, where)]
    return sha256_of_value([config.seed, *parts, data.record, block, table.csv_sha256, table.calibration])
