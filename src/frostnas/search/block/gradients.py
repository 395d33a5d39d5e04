"""Gradients of the architecture weights: one function per estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Loss = Callable[[], Tensor]
"""Evaluates a loss, float32 (), at the present parameters."""
Gradients = tuple[Tensor, ...]
PERTURBATION = 0.01  # length of the finite difference in weight space (DARTS, appendix)


def gradients(loss: Tensor, parameters: Sequence[Tensor]) -> Gradients:
    """d loss / d parameters; zeros where the loss does not depend on one."""
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True)
    return tuple(
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    )


@contextmanager
def held(weights: Iterable[Tensor]) -> Iterator[None]:
    """Graphs that are recorded inside the block neither keep what gradients of the weights need nor compute them."""
    free = [weight for weight in weights if weight.requires_grad]
    for weight in free:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in free:
            weight.requires_grad_(True)


def first_order(val_loss: Loss, architecture: Sequence[Tensor], weights: Sequence[Tensor]) -> tuple[Gradients, Tensor]:
    """The gradient at the present weights (DARTS, section 2.3, xi = 0), and the loss."""
    with held(weights):
        loss = val_loss()
    return gradients(loss, architecture), loss.detach()


def second_order(
    train_loss: Loss, val_loss: Loss, architecture: Sequence[Tensor], weights: Sequence[Tensor], lr: float
) -> tuple[Gradients, Tensor]:
    """The gradient through one step w' = w - lr dL_train/dw (DARTS, equations 7 and 8), and the loss at w'.

    The product with the mixed second derivative is a central difference of architecture gradients at w +- eps v,
    v = dL_val(w')/dw' and eps = 0.01 / |v|. The weights are as they were when it returns.
    """
    start = [weight.detach().clone() for weight in weights]
    steps = gradients(train_loss(), weights)
    try:
        _move(weights, start, steps, -lr)
        loss = val_loss()
        both = gradients(loss, [*architecture, *weights])
        direct, direction = both[: len(architecture)], both[len(architecture) :]
        length = torch.stack([v.norm() for v in direction]).norm()
        if not length > 0:
            return direct, loss.detach()
        epsilon = float(PERTURBATION / length)
        with held(weights):
            _move(weights, start, direction, epsilon)
            ahead = gradients(train_loss(), architecture)
            _move(weights, start, direction, -epsilon)
            behind = gradients(train_loss(), architecture)
    finally:
        _move(weights, start, start, 0.0)
    implicit = [(plus - minus) / (2 * epsilon) for plus, minus in zip(ahead, behind, strict=True)]
    return tuple(g - lr * h for g, h in zip(direct, implicit, strict=True)), loss.detach()


@torch.no_grad()
def _move(weights: Sequence[Tensor], start: Sequence[Tensor], direction: Sequence[Tensor], length: float) -> None:
    for weight, origin, change in zip(weights, start, direction, strict=True):
        weight.copy_(origin).add_(change, alpha=length)


def score_function(
    log_probabilities: Sequence[Tensor], losses: Sequence[float], architecture: Sequence[Tensor]
) -> Gradients:
    """The gradient of the expected loss of one sampled path (REINFORCE), from several paths on one batch.

    Each path's loss is compared with the mean of the others', which keeps the estimate unbiased. It replaces the
    straight-through gradient of a hard Gumbel sample, which is zero here: a block is a chain, and batch norm behind a
    slot takes away the scale that the slot's weight puts on its output.
    """
    total = sum(losses)
    others = len(losses) - 1
    surrogate = sum(
        ((loss - (total - loss) / others) / len(losses) * log)
        for loss, log in zip(losses, log_probabilities, strict=True)
    )
    assert isinstance(surrogate, Tensor)
    return gradients(surrogate, architecture)
