"""What the supernet's training will hold at its most, said before it does: two small steps of the largest network."""

from __future__ import annotations

from dataclasses import replace

import torch

from frostnas.data.images import Batch
from frostnas.engine import Recipe
from frostnas.engine.distill import Lesson
from frostnas.engine.distributed import World, launched
from frostnas.engine.memory import free_bytes, held_bytes
from frostnas.pipeline import plan
from frostnas.pipeline.costs import images_at_once
from frostnas.pipeline.probe import step_memory
from frostnas.pipeline.session import Session
from frostnas.search.net.alone import OnePath
from frostnas.search.net.loop import Work

FEW, MORE = 2, 4  # images; what a step takes grows evenly with them


def say_peak(session: Session, lesson: Lesson | None) -> None:
    """Say how much memory a batch at the largest size takes, and how much there is."""
    images = images_at_once(plan.SEARCH_NET, session.config, launched().size)
    peak = search_peak(session, lesson, images)
    free = free_bytes(session.device)
    room = None if free is None else free + held_bytes(session.device)
    there = "" if room is None else f" of {room / 1e9:.3g} GB that it may take"
    batch = f"{images} images of {session.sizes[-1]} pixels at once"
    session.workspace.say(f"search-net: training will hold up to about {peak / 1e9:.3g} GB{there} ({batch})")
    if room is not None and peak > room:
        session.workspace.say(
            "search-net: warning: that is more than there is; more search_net.micro_batches or smaller images take less"
        )


def search_peak(session: Session, lesson: Lesson | None, images: int) -> int:
    """The most bytes that the process holds in a step of the supernet's training.

    Args:
        lesson: what the supernet learns besides the labels.
        images: whose activations are kept at one time.
    """
    recipe, search = Recipe.of(session.config, "search_net"), session.config.search_net
    still = replace(recipe.optim, lr=0.0)  # what so few images teach could leave the numbers
    recipe = replace(recipe, float_epochs=0, epochs=1, micro_batches=1, optim=still)
    data = session.data_to_search
    with torch.random.fork_rng():
        work = Work(recipe, search, data, session.workspace, "", World(), lesson)
        supernet = work.fresh(session.space, share_weights=search.share_weights)
        trainer = work.trainer(supernet, OnePath(supernet.space.largest))
        trainer.begin_epoch()

        def take(batch: Batch) -> None:
            trainer.progress.step += 1
            trainer.step(*batch)

        step = step_memory(data.train, FEW, MORE, take, data.train.side if lesson else None)
        return int(held_bytes(session.device) + step.fixed_bytes + images * step.image_bytes)
