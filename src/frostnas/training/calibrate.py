"""Post-training quantization: activation ranges from training images, and whether they are enough."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from frostnas.data import Images, Splits
from frostnas.engine import Workspace, evaluate
from frostnas.quant import ActivationQuantizer, QuantState, set_state
from frostnas.training.trainer import Trainer


@torch.no_grad()
def calibrate(model: nn.Module, images: Images, batch_size: int, batches: int) -> None:
    """Let the ranges follow ``batches`` batches of unaugmented images; weights and batch norm stay as they are."""
    set_state(model, QuantState.OBSERVE)
    model.eval()
    for pixels in _some(images, batch_size, batches):
        model(pixels)


@torch.no_grad()
def restate(model: nn.Module, images: Images, batch_size: int, batches: int) -> None:
    """Batch norm's statistics become the means over ``batches`` batches of unaugmented images; ranges begin anew."""
    set_state(model, QuantState.FLOAT)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
        norm.train()
    for pixels in _some(images, batch_size, batches):
        model(pixels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
    for module in model.modules():
        if isinstance(module, ActivationQuantizer) and not module.fixed:
            module.started.fill_(False)


def _some(images: Images, batch_size: int, batches: int) -> Iterator[Tensor]:
    """Pixels of so many batches, over as many passes as that takes."""
    left = batches
    while left:
        for pixels, _ in images.batches(batch_size, seed=left):
            yield pixels
            left -= 1
            if not left:
                break


class Calibrated:
    """Post-training quantization of what was trained in floating point, tried once before fake-quant goes on."""

    def __init__(self, data: Splits, workspace: Workspace) -> None:
        self.data, self.workspace = data, workspace

    def stands(self, trainer: Trainer) -> bool:
        """Whether it loses so little that training may end here; the trainer stays as it is.

        Says how much it loses on the validation images. A run that goes on from here finds the same.
        """
        limit, recipe, progress = trainer.options.max_ptq_loss, trainer.recipe, trainer.progress
        floats = recipe.head_epochs + recipe.float_epochs
        if limit is None or not floats or (progress.epoch, progress.step) != (floats, 0):
            return False
        model, best = trainer.evaluated, trainer.best
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(best.weights)
        calibrate(model, self.data.train, recipe.batch_size, trainer.options.calibration_batches)
        set_state(model, QuantState.FROZEN)
        quantized = evaluate(model, self.data.val)
        model.load_state_dict(kept)
        loss = best.top1 - quantized
        stands = loss <= limit
        self.workspace.say(
            f"train: post-training quantization loses {loss * 100:.2f} points of validation top-1 "
            f"({best.top1:.2%} to {quantized:.2%}); "
            + (
                "it stands, without fake-quantized epochs"
                if stands
                else f"{recipe.epochs} fake-quantized epochs follow"
            )
        )
        return stands
