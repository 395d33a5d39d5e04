"""`parent.net`: a zoo name, a library's model or a finished run as the network that the space is cut out of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from frostnas.artifacts import NetSpec, Normalisation, TrainResult, load
from frostnas.config import Config, ParentConfig
from frostnas.errors import InputError
from frostnas.nets import Net, Weights, libraries, load_weights, read_weights, zoo_family, zoo_names, zoo_spec
from frostnas.nets.weights import identity, recognised
from frostnas.pipeline.trained import TRAIN, WEIGHTS
from frostnas.quant import Scheme

FOLDER = "parent"
"""In the run directory: the run that trains it on the run's images."""
NET_KEY, WEIGHTS_KEY = "parent.net", "parent.weights"


@dataclass(frozen=True, slots=True)
class Parent:
    """A trained network."""

    spec: NetSpec
    """As it was trained, padding and batch norm included."""
    weights: Weights
    given: str
    """Where they are, as `train.weights` takes it."""
    sha256: str
    """Of their content."""
    normalisation: Normalisation | None
    """What it expects; None where its weights do not say."""
    image_size: int | None = None
    """Of its training, pixels; None where its weights do not say."""

    def live(self, classes: int, image_size: int, scheme: Scheme) -> tuple[Net, bool]:
        """In floating point, and whether its classifier is its own: for other classes it is a fresh one."""
        net = Net(self.spec.with_classes(classes).at_size(image_size), scheme)
        return net, load_weights(net, self.weights, new_classifier=True)


def read_parent(config: ParentConfig) -> Parent | None:
    """The network of `parent`; None for none.

    Raises:
        InputError: there is no such network or run, or the weights are not of it.
    """
    given = config.net
    if given is None:
        if config.weights is not None:
            raise InputError(f"{WEIGHTS_KEY}={config.weights}: expected {NET_KEY}=NAME with it")
        return None
    if libraries.is_library(given):
        _no_weights(config)
        weights = read_weights(given, NET_KEY)
        name = recognised(weights)
        if name is None:
            raise InputError(f"{NET_KEY}={given}: is like no network that `frostnas zoo` lists")
        return _of(zoo_spec(name), weights, given)
    if given in zoo_names():
        if config.weights is None:
            raise InputError(f"{NET_KEY}={given}: expected {WEIGHTS_KEY}=PATH with it")
        return _of(zoo_spec(given), read_weights(config.weights, WEIGHTS_KEY), config.weights)
    if not Path(given).is_dir():
        raise InputError(
            f"{NET_KEY}={given}: expected a name that `frostnas zoo` lists, torchvision:NAME, timm:NAME or the "
            "directory of a finished run"
        )
    _no_weights(config)
    trained, path = load(Path(given) / TRAIN, TrainResult).value, Path(given) / WEIGHTS
    own = Normalisation(trained.images.mean, trained.images.std)
    weights = read_weights(str(path), NET_KEY)
    return Parent(trained.net, weights, str(path), trained.weights_sha256, own, trained.net.image_size)


def taught_by_parent(config: Config, run_dir: Path) -> Config:
    """``config`` with the parent as the teacher of the final training too, where it is trained on the run's images."""
    distill = config.train.distill
    given = config.net is not None or distill.teacher is not None
    if given or config.parent.net is None or not (config.parent.teaches and config.parent.epochs):
        return config
    return replace(config, train=replace(config.train, distill=replace(distill, teacher=str(run_dir / FOLDER))))


def _of(spec: NetSpec, weights: Weights, given: str) -> Parent:
    source = weights.source(zoo_family(spec))
    normalisation = source.normalisation if source else None
    return Parent(weights.adapted(spec), weights, given, identity(given, WEIGHTS_KEY), normalisation)


def _no_weights(config: ParentConfig) -> None:
    if config.weights is not None:
        raise InputError(f"{WEIGHTS_KEY}={config.weights}: expected null; {NET_KEY}={config.net} brings its own")
