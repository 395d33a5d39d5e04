"""Stage 3 as a whole: from a network's spec to trained weights and their accuracies."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from frostnas.artifacts import Accuracy, NetSpec, TrainResult, sha256_of_value
from frostnas.config import Config
from frostnas.config.compose import to_plain
from frostnas.data import Images, Splits, batch_count, derived_seed
from frostnas.engine import Bar, Workspace, evaluate, seed_all, weights_digest, weights_of
from frostnas.engine.distributed import from_first, joined, total
from frostnas.errors import InputError
from frostnas.nets import Net, count, load_weights, read_weights
from frostnas.nets.weights import identity
from frostnas.quant import QuantState, Scheme, set_state
from frostnas.training.calibrate import calibrate
from frostnas.training.phases import phase_of, total_epochs
from frostnas.training.ranges import layer_ranges, moving_quantizers, sample_pixels
from frostnas.training.saver import Saver
from frostnas.training.trainer import Trainer

CHECKPOINT = "train.pt"
WEIGHTS_KEY = "train.weights"


def run(
    config: Config, data: Splits, net: NetSpec, workspace: Workspace, teacher: nn.Module | None = None
) -> tuple[TrainResult, dict[str, Tensor]]:
    """Train ``net`` and return its result and weights; goes on where an interrupted run of the same config stopped.

    Phases: StatAssist in floating point, quantization-aware training with GradBoost, then fixed ranges. The network
    kept is the best by fake-quant top-1 on the validation split. Without fake-quantized epochs it is the best in
    floating point, and its ranges are calibrated after training. Its FP32 accuracy is that of the same weights with
    the quantizers off. Processes started by torchrun share every batch.

    Raises:
        InputError: `train.weights` does not fit, or the batch cannot be shared equally.
        TrainingError, RangeError: the loss or an activation is not a finite number.
    """
    device = data.train.labels.device
    with joined(device, config.peer_timeout_s) as world:
        if config.train.batch_size % world.size:
            raise InputError(
                f"train.batch_size={config.train.batch_size}: expected a multiple of {world.size} processes"
            )
        seed_all(config.seed)
        model = Net(net, Scheme.of(config.quant))
        if config.train.weights is not None:
            load_weights(model, read_weights(config.train.weights, WEIGHTS_KEY), new_classifier=True)
        model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = batch_count(len(data.train), config.train.batch_size, shuffled=True)
        trainer = Trainer(model, config, steps, len(data.format.classes), world, teacher)
        saver = Saver(trainer, workspace.checkpoints / CHECKPOINT, _fingerprint(config, data, net, teacher))
        if saver.resume():
            done = trainer.progress
            workspace.say(f"train: going on from epoch {done.epoch + 1}, step {done.step + 1}")
        _train(trainer, data, workspace, saver)
        doubt = trainer.best.doubt(len(data.format.classes)) if trainer.progress.epoch else None
        if doubt is not None:
            workspace.say(f"train: warning: {doubt}; lower train.optim.lr or train.optim.clip_norm, or train longer")
        return _finish(trainer, data, net)


def _finish(trainer: Trainer, data: Splits, net: NetSpec) -> tuple[TrainResult, dict[str, Tensor]]:
    """The kept network's accuracies and weights."""
    model, config, best = trainer.model, trainer.config, trainer.best
    if best.weights:
        model.load_state_dict(best.weights)
    if not best.quantized:
        calibrate(model, data.train, config.train.batch_size, config.train.calibration_batches)
    fp32, fake_quant = (_accuracy(model, state, data) for state in (QuantState.FLOAT, QuantState.FROZEN))
    weights = weights_of(model)
    counts, scheme = count(net), Scheme.of(config.quant)
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
        weights_sha256=weights_digest(weights),
        seed=config.seed,
        seconds=trainer.progress.seconds,
    )
    return result, weights


def _train(trainer: Trainer, data: Splits, workspace: Workspace, saver: Saver) -> None:
    """All epochs from the trainer's position on."""
    config, steps, progress = trainer.config.train, trainer.steps_per_epoch, trainer.progress
    metrics = workspace.metrics("train", keep=progress.epoch)
    ranges = workspace.metrics("ranges", keep=progress.epoch * len(moving_quantizers(trainer.model)), by=["layer"])
    sample = sample_pixels(data.val)
    epochs = total_epochs(config)
    done = progress.epoch * steps + progress.step
    with saver, workspace.progress("train", epochs * steps, done) as bar:
        while progress.epoch < epochs:
            train_epoch(trainer, data, bar, saver)
            phase, _ = phase_of(config, progress.epoch)
            val_top1 = _shared_top1(trainer, data.val)
            trainer.best.offer(val_top1, progress.epoch, phase.state.quantizes, trainer.evaluated)
            figures = {"train_loss": progress.loss, "train_top1": progress.top1, "val_top1": val_top1}
            when: dict[str, Any] = {"epoch": progress.epoch + 1, "phase": phase.name}
            metrics.row(**when, lr=trainer.lr, **figures)
            if workspace.writes:
                ranges.rows(when | asdict(one) for one in layer_ranges(trainer.evaluated, sample, trainer.state))
            workspace.log.info("train: epoch %d of %d (%s): %s", progress.epoch + 1, epochs, phase.name, figures)
            progress.next_epoch()
            saver.after_step()
        saver.save()


def train_epoch(trainer: Trainer, data: Splits, bar: Bar, saver: Saver) -> None:
    """The rest of the present epoch."""
    config, progress, world = trainer.config, trainer.progress, trainer.world
    trainer.begin_epoch()
    batches = data.train.batches(
        config.train.batch_size,
        seed=derived_seed(config.seed, progress.epoch),
        augment=True,
        skip=progress.step,
        part=(world.rank, world.size),
    )
    for pixels, labels in batches:
        trainer.step(pixels, labels)
        bar.step(loss=progress.loss, top1=progress.top1)
        if progress.step < trainer.steps_per_epoch:  # the epoch's last state is saved after its evaluation
            saver.after_step()


def _shared_top1(trainer: Trainer, images: Images) -> float:
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


def _fingerprint(config: Config, data: Splits, net: NetSpec, teacher: nn.Module | None = None) -> str:
    """Hash of everything that the weights depend on."""
    where = replace(config.data, root="", workers=0, download=False)
    weights = config.train.weights and identity(config.train.weights, WEIGHTS_KEY)
    train = replace(config.train, weights=weights, distill=replace(config.train.distill, teacher=None, weights=None))
    parts = [to_plain(part) for part in (train, config.quant, where)]
    taught = teacher and weights_digest(weights_of(teacher))
    return sha256_of_value([config.seed, *parts, data.record, net, taught])
