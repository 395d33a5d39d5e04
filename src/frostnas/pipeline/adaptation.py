"""The parent on the run's own images, before the space that is cut out of it is searched: weights and a lesson."""

from __future__ import annotations

from dataclasses import replace

from frostnas.artifacts import Normalisation, TrainResult, sha256_of_value
from frostnas.config import Config, DistillConfig, ParentConfig, TrainConfig
from frostnas.config.identity import what_matters
from frostnas.engine import Recipe
from frostnas.engine.distill import Lesson, Teacher, View
from frostnas.engine.distributed import launched
from frostnas.errors import InputError
from frostnas.nets import Net
from frostnas.pipeline.parent import FOLDER, Parent
from frostnas.pipeline.session import Session
from frostnas.pipeline.stage import Stage
from frostnas.pipeline.trained import WEIGHTS, load_net
from frostnas.quant import QuantState, set_state
from frostnas.search.net.ordering import sort_channels


def adapted(session: Session, training: Stage[TrainResult]) -> tuple[Net | None, Lesson | None]:
    """The parent as the supernet starts from it, on the CPU, and what the supernet learns besides the labels.

    With `parent.teaches` it is the teacher, unless `search_net.distill` names another.

    Args:
        training: the stage that trains the parent, where `parent.epochs` asks for that.
    """
    parent, images = session.parent, session.data.format
    if parent is None:
        return None, session.lesson
    if session.config.parent.epochs:
        trained = training.run(session)
        net, knows = load_net(training.path(session).with_name(WEIGHTS), trained), True
    else:
        scheme = Recipe.of(session.config, "search_net").scheme
        net, knows = parent.live(len(images.classes), session.parent_size, scheme)
    set_state(net, QuantState.FLOAT)
    if min(*session.config.parent.expands, *session.config.parent.widths, 1.0) < 1:  # a part has the first channels
        sort_channels(net)
    if session.lesson is not None or not (knows and session.config.parent.teaches):
        return net, session.lesson
    return net, lesson_by(session, parent, net)


def lesson_by(session: Session, parent: Parent, net: Net) -> Lesson:
    """What the supernet learns from the parent. Args: net: the parent, in floating point."""
    images = session.data.format
    own = (parent.normalisation if not session.config.parent.epochs else None) or Normalisation(images.mean, images.std)
    teacher = session.ready(Teacher(net.eval(), View(own, net.spec.image_size), images).eval())
    assert teacher is not None
    return Lesson(teacher, session.config.search_net.distill)


def adaptation_inputs(session: Session) -> dict[str, str]:
    """Hashes of what the supernet starts from."""
    parent = session.parent
    if parent is None:
        return {}
    found = {"parent.weights": parent.sha256}
    if session.config.parent.epochs:
        found["parent.train"] = sha256_of_value(what_matters(_recipe(session.config, parent)))
    return found


def of_parent(session: Session) -> Session:
    """A run of its own in the folder `parent`: its training on the run's images, at its own size.

    Raises:
        InputError: there are several processes.
    """
    config, parent = session.config, session.parent
    assert parent is not None
    if launched().size > 1:  # the others would read the weights before the first has written them
        raise InputError(
            f"parent.epochs={config.parent.epochs}: expected 0 with several processes; train the parent first, and "
            "give its run as parent.net"
        )
    own = replace(
        config,
        data=replace(config.data, image_size=session.parent_size),
        net=None,
        parent=ParentConfig(),
        space=replace(config.space, resolutions=[]),
        train=_recipe(config, parent),
    )
    made = session.below(FOLDER, own, parent.spec)
    if made.config.data == own.data:  # else its weights want another normalisation
        made.data = session.data_of_parent  # read once for all who ask for this run
    return made


def _recipe(config: Config, parent: Parent) -> TrainConfig:
    """That of `train`, in floating point alone."""
    return replace(
        config.train,
        weights=parent.given,
        float_epochs=config.parent.epochs,
        epochs=0,
        frozen_epochs=0,
        max_ptq_loss=None,
        sizes=[],
        distill=DistillConfig(),
    )
