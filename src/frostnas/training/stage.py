"""Stage 3 as a whole: from a network's spec to trained weights and their accuracies."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.artifacts import Accuracy, NetSpec, Source, TrainResult
from frostnas.config import Sampler, TrainConfig
from frostnas.data import Images, Splits, batch_count, derived_seed
from frostnas.engine import Bar, Recipe, Saver, TrainingError, Workspace, evaluate, seed_all, weights_digest, weights_of
from frostnas.engine.distributed import from_first, joined, total
from frostnas.nets import Net, count, load_weights, read_weights
from frostnas.quant import QuantState, set_state
from frostnas.training.balance import class_weights, guessing_doubt
from frostnas.training.calibrate import Calibrated, calibrate, restate
from frostnas.training.depth import set_drop_path
from frostnas.training.ranges import layer_ranges, sample_pixels
from frostnas.training.trainer import Trainer

CHECKPOINT, WEIGHTS_KEY = "train.pt", "train.weights"
RECOVERED = "recovered"
GENTLER = 0.1  # of the learning rate, after a recovery


def run(
    recipe: Recipe,
    options: TrainConfig,
    data: Splits,
    net: NetSpec,
    workspace: Workspace,
    identity: str,
    *,
    start: Path | str | None = None,
    teacher: nn.Module | None = None,
) -> tuple[TrainResult, dict[str, Tensor]]:
    """Train ``net`` and return its result and weights; goes on where an interrupted run of the same kind stopped.

    Phases: StatAssist in floating point, quantization-aware training with GradBoost, then fixed ranges. The network
    kept is the last that the validation split cannot tell from the best by fake-quant top-1 (`Best`). Without
    fake-quantized epochs that is by floating point, and its ranges are calibrated after training. Its FP32 accuracy is
    that of the same weights with the quantizers off. Processes started by torchrun share every batch.

    Args:
        options: what the recipe does not say; of what both say the recipe counts.
        identity: of everything that the weights depend on; only a run of the same goes on.
        start: weights to start from, as `read_weights` takes them.
        teacher: to learn from besides the labels.

    Raises:
        InputError: ``start`` does not fit, or the batch cannot be shared equally.
        TrainingError: the loss or an activation is not a finite number.
    """
    device, classes = data.train.labels.device, len(data.format.classes)
    with joined(device, workspace.peer_timeout_s) as world:
        recipe.check_shares(world)
        steps = batch_count(len(data.train), recipe.batch_size, shuffled=True)
        weights = class_weights(options, data.train.labels, classes)

        def trained(saver: Saver) -> Trainer:
            seed_all(recipe.seed)
            model = Net(net, recipe.scheme)
            set_drop_path(model, options.drop_path)
            now = _gentler(recipe) if RECOVERED in saver.done else recipe
            kept = start is None or load_weights(model, read_weights(str(start), WEIGHTS_KEY), new_classifier=True)
            if kept:
                now = replace(now, head_epochs=0)  # there is no new classifier on trained weights
            model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            trainer = Trainer(model, now, options, steps, classes, world, teacher, weights, size=net.image_size)
            if saver.live is not None:
                trainer.load_state_dict(saver.live)
                done = trainer.progress
                workspace.say(f"train: going on from epoch {done.epoch + 1}, step {done.step + 1}")
            with saver:
                _train(trainer, data, workspace, saver)
            return trainer

        saver = Saver(workspace, CHECKPOINT, identity, device)
        try:
            trainer = trained(saver)
        except TrainingError as error:
            if not options.recover or RECOVERED in saver.done:
                raise
            workspace.say(f"train: warning: {error}; going back once, with {GENTLER:g} of the learning rate")
            saver = Saver(workspace, CHECKPOINT, identity, device)
            saver.once(RECOVERED, lambda: True, part=True)
            trainer = trained(saver)
        doubt = trainer.best.doubt(classes) if trainer.progress.epoch else None
        if doubt is not None:
            workspace.say(f"train: warning: {doubt}; lower train.optim.lr or train.optim.clip_norm, or train longer")
        result, state = _finish(trainer, data, net, saver.seconds)
        for warning in result.warnings:
            workspace.say(f"train: warning: {warning}")
        return result, state


def _gentler(recipe: Recipe) -> Recipe:
    return replace(recipe, optim=replace(recipe.optim, lr=recipe.optim.lr * GENTLER))


def _finish(trainer: Trainer, data: Splits, net: NetSpec, seconds: float) -> tuple[TrainResult, dict[str, Tensor]]:
    """The kept network's accuracies and weights."""
    model, recipe, best = trainer.model, trainer.recipe, trainer.best
    if best.weights:
        model.load_state_dict(best.weights)
    if not best.quantized:
        batches = trainer.options.calibration_batches
        if trainer.options.fresh_statistics:
            restate(model, data.train, recipe.batch_size, batches)
        calibrate(model, data.train, recipe.batch_size, batches)
    fp32, fake_quant = (_accuracy(model, state, data) for state in (QuantState.FLOAT, QuantState.FROZEN))
    weights = weights_of(model)
    counts, scheme = count(net), recipe.scheme
    result = TrainResult(
        net=net,
        images=data.format,
        split=data.record,
        weight_bits=scheme.weight_bits,
        signed_activations=scheme.signed_activations,
        fp32=fp32,
        fake_quant=fake_quant,
        best_epoch=best.epoch,
        parameters=counts.parameters,
        macs=counts.macs,
        weights_sha256=weights_digest(weights, Source(net.stem.convention, data.format.normalisation)),
        seed=recipe.seed,
        seconds=seconds,
        warnings=(no_better,) if (no_better := guessing_doubt(fake_quant, data)) else (),
    )
    return result, weights


def _train(trainer: Trainer, data: Splits, workspace: Workspace, saver: Saver) -> None:
    """All epochs from the trainer's position on."""
    epochs, steps, progress = trainer.recipe.total_epochs, trainer.steps_per_epoch, trainer.progress
    metrics, ranges = saver.metrics("train"), saver.metrics("ranges", by=["layer"])
    sample = sample_pixels(data.val)
    tried = Calibrated(data, workspace)
    done = progress.epoch * steps + progress.step
    with workspace.progress("train", epochs * steps, done) as bar:
        while progress.epoch < epochs and not tried.stands(trainer):
            train_epoch(trainer, data, bar, saver)
            phase = trainer.phase
            val_top1 = shared_top1(trainer, data.val)
            trainer.best.offer(val_top1, len(data.val), progress.epoch, phase.state.quantizes, trainer.evaluated)
            figures = {"train_loss": progress.loss, "train_top1": progress.top1, "val_top1": val_top1}
            when: dict[str, Any] = {"epoch": progress.epoch + 1, "phase": phase.name}
            metrics.row(**when, lr=trainer.lr, **figures)
            if workspace.writes:
                ranges.rows(when | asdict(one) for one in layer_ranges(trainer.evaluated, sample, trainer.state))
            workspace.log.info("train: epoch %d of %d (%s): %s", progress.epoch + 1, epochs, phase.name, figures)
            progress.next_epoch()
            saver.after_step(trainer.state_dict)
    saver.save(trainer.state_dict)


def train_epoch(trainer: Trainer, data: Splits, bar: Bar, saver: Saver) -> None:
    """The rest of the present epoch."""
    recipe, progress, world = trainer.recipe, trainer.progress, trainer.world
    trainer.begin_epoch()
    batches = data.train.batches(
        recipe.batch_size,
        seed=derived_seed(recipe.seed, progress.epoch),
        augment=True,
        skip=progress.step,
        part=(world.rank, world.size),
        size=data.train.side,
        balanced=trainer.options.sampler is Sampler.balanced,
    )
    for pixels, labels in batches:
        trainer.step(pixels, labels)
        bar.step(loss=progress.loss, top1=progress.top1)
        if progress.step < trainer.steps_per_epoch:  # the epoch's last state is saved after its evaluation
            saver.after_step(trainer.state_dict, settled=not trainer.unread)


def shared_top1(trainer: Trainer, images: Images) -> float:
    """Top-1 of the network as it would be kept now; every process looks at its part of the images.

    Quantizers do not observe here: ranges are those of training images, and processes with unequal numbers of batches
    would wait for each other. Without `train.synchronise` each has statistics of its own; those of the first are kept.
    """
    from_first(trainer.evaluated.buffers())
    if not trainer.state.quantizes:
        set_state(trainer.evaluated, QuantState.FLOAT)
    mine = torch.arange(trainer.world.rank, len(images), trainer.world.size)
    hits = evaluate(trainer.evaluated, images.subset(mine)) * len(mine) if len(mine) else 0.0
    return round(float(total(torch.tensor(hits, device=trainer.device)))) / len(images)


def _accuracy(model: nn.Module, state: QuantState, data: Splits) -> Accuracy:
    set_state(model, state)
    return Accuracy(val=evaluate(model, data.val), test=evaluate(model, data.test))
