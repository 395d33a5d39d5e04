"""A teacher of the supernet: it sees the large picture, the path the small one, and the loss is of both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.config import DistillConfig
from frostnas.engine import Recipe, seed_all
from frostnas.engine.distill import Lesson, answers, distilled
from frostnas.quant import Scheme
from frostnas.search.net.policy import Sandwich, UniformPaths
from frostnas.search.net.supernet import Supernet
from frostnas.search.net.training import SupernetTrainer
from tests.search_parts import space_of, tiny_config


class Sure(nn.Module):
    """Is sure of class 3 whatever it sees, and notes the size of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.sides.append(pixels.shape[-1])
        return F.one_hot(torch.full((len(pixels),), 3), 10).float() * 20


def step(lesson: Lesson | None, pixels: Tensor, labels: Tensor, smaller: int = 0) -> tuple[float, int]:
    """The loss of one step, and the side of the images that its first path was given.

    Args:
        smaller: paths beside the largest one; 0 for a single path.
    """
    config = tiny_config("space.network.dropout=0.0")
    seed_all(0)
    supernet = Supernet(space_of(config), Scheme())
    seen: list[int] = []
    supernet.input.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[-1]))
    space = supernet.space
    policy = Sandwich(space, 0, smaller) if smaller else UniformPaths(space, 0)
    trainer = SupernetTrainer(supernet, policy, Recipe.of(config, "search_net"), 5, lesson=lesson)
    trainer.begin_epoch()
    trainer.step(pixels, labels)
    return trainer.progress.loss, seen[0]


def test_a_lesson_is_mixed_into_the_loss_of_a_path() -> None:
    large = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    small = F.interpolate(large, size=(8, 8), mode="bilinear", antialias=True)
    labels = torch.arange(16) % 10
    teacher = Sure()
    half, none, all_of_it = (
        step(Lesson(teacher, DistillConfig(weight=weight, temperature=1.0)), large, labels)
        for weight in (0.5, 0.0, 1.0)
    )
    alone = step(None, small, labels)
    assert teacher.sides == [16, 16, 16]
    assert {side for _, side in (half, none, all_of_it, alone)} == {8}
    assert abs(none[0] - alone[0]) < 1e-5
    assert abs(half[0] - (none[0] + all_of_it[0]) / 2) < 1e-5


def test_the_paths_of_a_step_ask_the_teacher_once() -> None:
    pixels, teacher = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)), Sure()
    step(Lesson(teacher, DistillConfig()), pixels, torch.arange(16) % 10, smaller=2)
    assert teacher.sides == [8]


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn() -> None:
    pixels, teacher = torch.zeros(4, 3, 8, 8), Sure()
    loss = distilled(torch.tensor(7.0), teacher(pixels), answers(teacher, pixels), DistillConfig(weight=1.0))
    assert abs(float(loss)) < 1e-6
