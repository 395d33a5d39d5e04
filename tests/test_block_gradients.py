"""Architecture gradients against exact ones."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from frostnas.search.block.gradients import first_order, score_function, second_order

TOY = torch.Generator().manual_seed(0)
MIX = torch.randn(4, 3, generator=TOY, dtype=torch.float64)
TARGET = torch.randn(4, generator=TOY, dtype=torch.float64)


def losses(weights: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """A training and a validation loss in which weights (4,) and architecture (3,) meet non-linearly."""
    mixed = torch.tanh(weights) * (MIX @ torch.softmax(logits, 0))
    return (mixed - TARGET).square().sum(), (mixed.sin() + 0.5 * TARGET).square().sum()


def start() -> tuple[Tensor, Tensor]:
    weights = torch.tensor([0.3, -0.7, 1.1, 0.2], dtype=torch.float64, requires_grad=True)
    return weights, torch.tensor([0.1, -0.2, 0.4], dtype=torch.float64, requires_grad=True)


def test_second_order_matches_the_exact_unrolled_gradient() -> None:
    weights, logits = start()
    lr = 0.05
    (step,) = torch.autograd.grad(losses(weights, logits)[0], weights, create_graph=True)
    exact = torch.autograd.grad(losses(weights - lr * step, logits)[1], logits)[0]
    before = weights.detach().clone()
    (found,), _ = second_order(
        lambda: losses(weights, logits)[0], lambda: losses(weights, logits)[1], [logits], [weights], lr
    )
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-6)
    assert torch.equal(weights, before)
    (plain,), _ = first_order(lambda: losses(weights, logits)[1], [logits], [weights])
    assert (plain - exact).norm() > 100 * (found - exact).norm()


def test_second_order_with_no_step_is_first_order() -> None:
    weights, logits = start()
    train, val = (lambda: losses(weights, logits)[0]), (lambda: losses(weights, logits)[1])
    found, _ = second_order(train, val, [logits], [weights], 0.0)
    torch.testing.assert_close(found, first_order(val, [logits], [weights])[0])
    assert weights.requires_grad


def test_the_score_function_is_unbiased() -> None:
    """Summed over every pair of paths by its probability it is the gradient of the expected loss."""
    logits = torch.tensor([0.3, -0.5, 0.1], dtype=torch.float64, requires_grad=True)
    values = [0.9, 0.2, 1.7]
    expected = torch.autograd.grad(torch.softmax(logits, 0) @ torch.tensor(values, dtype=torch.float64), logits)[0]
    p = torch.softmax(logits, 0).tolist()
    mean = torch.zeros(3, dtype=torch.float64)
    for first, second in itertools.product(range(3), repeat=2):
        log = torch.log_softmax(logits, 0)
        (found,) = score_function([log[first], log[second]], [values[first], values[second]], [logits])
        mean += p[first] * p[second] * found
    torch.testing.assert_close(mean, expected)
