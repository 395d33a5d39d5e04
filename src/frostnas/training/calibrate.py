"""Post-training quantization: ranges and shifts from training images, and whether they are enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from frostnas.data import Images, Splits
from frostnas.engine import Workspace, predict
from frostnas.quant import ConvBN, QTensor, QuantState, plain_averages, set_state
from frostnas.training.trainer import Trainer

SHIFT_BATCHES = 8
"""That say what rounding adds to means; their error is small beside that of the rounding that is left."""


@torch.no_grad()
def calibrate(model: nn.Module, images: Images, batch_size: int, batches: int) -> None:
    """Ranges become the means over ``batches`` batches of plain images, and what rounding then adds to the mean of a
    channel is taken off; weights and statistics stay as they are."""
    set_state(model, QuantState.OBSERVE)
    model.eval()
    with plain_averages(model) as weigh:
        for number, pixels in enumerate(_some(images, batch_size, batches), start=1):
            weigh(1 / number)
            model(pixels)
    _take_off_shifts(model, _some(images, batch_size, min(batches, SHIFT_BATCHES)))


def _take_off_shifts(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Bias correction (Nagel et al. 2019, 4.2), of all layers in the order of data flow: one sees what those before it
    give once theirs is taken off.

    Rounded weights times inputs of positive mean move a channel's mean, above all where it has few weights, as in
    depthwise convolutions.
    """
    set_state(model, QuantState.FROZEN)
    number = 1

    def take_off(conv: ConvBN, given: tuple[QTensor]) -> None:
        conv.shift += conv.moved(*given) / number

    hooks = [module.register_forward_pre_hook(take_off) for module in model.modules() if isinstance(module, ConvBN)]
    for number, pixels in enumerate(batches, start=1):  # noqa: B007
        model(pixels)
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def restate(model: nn.Module, images: Images, batch_size: int, batches: int) -> None:
    """Batch norm's statistics become the means over ``batches`` batches of unaugmented images."""
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
        """Whether it loses so little that training may end here, with what is kept quantized; else all stays as it is.

        Says how much it loses on the validation images: it stands where that is not more than `train.max_ptq_loss` by
        more than the standard error of the difference, for one of a hundred images is a point. A run that goes on from
        here finds the same.
        """
        limit, recipe, progress = trainer.options.max_ptq_loss, trainer.recipe, trainer.progress
        floats = recipe.head_epochs + recipe.float_epochs
        if limit is None or not floats or (progress.epoch, progress.step) != (floats, 0):
            return False
        model, best = trainer.evaluated, trainer.best
        if best.quantized:  # found before an interruption
            return True
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(best.weights)
        before = self._right(model, QuantState.FLOAT)
        calibrate(model, self.data.train, recipe.batch_size, trainer.options.calibration_batches)
        after = self._right(model, QuantState.FROZEN)
        loss, error = loss_of(before, after)
        stands = loss <= limit + error
        if stands:
            best.settle(_mean(after), model)
        model.load_state_dict(kept)
        self.workspace.say(
            f"train: post-training quantization loses {loss * 100:.2f} ± {error * 100:.2f} points of validation top-1 "
            f"({_mean(before):.2%} to {_mean(after):.2%}); "
            + (
                "it stands, without fake-quantized epochs"
                if stands
                else f"{recipe.epochs} fake-quantized epochs follow"
            )
        )
        return stands

    def _right(self, model: nn.Module, state: QuantState) -> Tensor:
        """Whether each validation image is named as it is labelled, bool (N,)."""
        set_state(model, state)
        return predict(model, self.data.val).argmax(1) == self.data.val.labels


def loss_of(before: Tensor, after: Tensor) -> tuple[float, float]:
    """How many more of the same images were right before, as a fraction, and the standard error of that.

    Only those that changed count: each is one more or one less by chance (McNemar 1947).

    Args:
        before, after: bool (N,).
    """
    changed = int((before != after).sum())
    return _mean(before) - _mean(after), changed**0.5 / len(before)


def _mean(right: Tensor) -> float:
    return int(right.sum()) / len(right)
