"""Training pictures for a student whose teacher costs more than itself: some views of each, asked about once."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from frostnas.config import Config
from frostnas.data import Splits, derived_seed
from frostnas.data.views import Views, affordable
from frostnas.engine.distill import Lesson, Remembering
from frostnas.engine.distributed import launched

SEARCH = 6  # of the paths of seeds: the supernet's views


def with_views(
    data: Splits, teacher: nn.Module | None, config: Config, count: int, side: int, seed: int
) -> tuple[Splits, nn.Module | None]:
    """Data whose epochs show one of ``count`` views of each training picture, and the teacher that knows them.

    As they are without a teacher, where the same pixels come again anyhow, among several processes, and where
    `data.in_memory_mb` holds no two views.

    Args:
        side: of the student's largest batches, pixels.
        seed: of the views.
    """
    if teacher is None or isinstance(teacher, Remembering) or launched().size > 1:
        return data, teacher
    count = affordable(count, data.train, side, config.data.in_memory_mb)
    if count < 2:
        return data, teacher
    knowing = Remembering(teacher)
    return replace(data, train=Views(data.train, count, side, seed, knowing.learn)), knowing


def to_train(data: Splits, teacher: nn.Module | None, config: Config, size: int) -> tuple[Splits, nn.Module | None]:
    """`with_views` for `train`, whose network takes images of ``size`` pixels; mixed pictures are new every time."""
    train = config.train
    count = 0 if train.mixup or train.cutmix else train.distill.views
    return with_views(data, teacher, config, count, max([size, *train.sizes]), config.seed)


def to_search(data: Splits, lesson: Lesson | None, config: Config) -> tuple[Splits, Lesson | None]:
    """`with_views` for the supernet; other ones than `train` goes on with, whose weights would know them by heart."""
    if lesson is None:
        return data, None
    count, side, seed = lesson.config.views, data.format.image_size, derived_seed(config.seed, SEARCH)
    data, teacher = with_views(data, lesson.teacher, config, count, side, seed)
    assert teacher is not None
    return data, replace(lesson, teacher=teacher)
