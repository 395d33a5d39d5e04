"""Trained weights for the zoo's networks, from a file in any known naming or from a library: read, recognised, loaded.

All that takes weights goes through here: `train.weights`, teachers, `create_model` and `load_weights`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from frostnas.artifacts import NetSpec, Source, sha256_of, sha256_of_value
from frostnas.errors import InputError
from frostnas.nets import libraries
from frostnas.nets.count import shapes_only
from frostnas.nets.namings import CLASSIFIER, NAMINGS, Naming, is_ours, naming_of, places
from frostnas.nets.net import Net
from frostnas.nets.ops import under
from frostnas.nets.state_dicts import differences, first_of, read_state_dict
from frostnas.nets.state_files import stated_source
from frostnas.nets.zoo import zoo_entries, zoo_family

NEW_CLASSIFIER_STD = 0.01


@dataclass(frozen=True, slots=True)
class Weights:
    """Tensors under the names that they came with."""

    label: str
    """What gave them, as an error message begins."""
    tensors: dict[str, Tensor]
    naming: Naming | None
    """None for our own names, and for unknown ones."""
    stated: Source | None
    """What the library or the file says itself."""

    def source(self, family: str) -> Source | None:
        """What the weights expect, of a network of ``family``; None where they do not say."""
        return self.stated or (self.naming and self.naming.sources.get(family)) or None

    def adapted(self, spec: NetSpec) -> NetSpec:
        """The network as the weights were trained in it."""
        source = self.source(zoo_family(spec))
        return spec.under(source.convention) if source else spec


def read_weights(given: str, key: str = "") -> Weights:
    """Read a file, or fetch `torchvision:NAME` or `timm:NAME`.

    Args:
        given: path or name.
        key: of the config that gave it, for error messages.

    Raises:
        InputError: it is missing, damaged or cannot be had.
    """
    label = f"{key}={given}" if key else given
    if libraries.is_library(given):
        libraries.check_name(key or "weights", given)
        model = libraries.pretrained(label, given)
        stated = Source(libraries.convention_of(model), libraries.normalisation_of(given))
        tensors = {name: value for name, value in model.state_dict().items() if "num_batches" not in name}
        return Weights(label, tensors, naming_of(tensors), stated)
    try:
        tensors = read_state_dict(Path(given))
        return Weights(label, tensors, naming_of(tensors), stated_source(Path(given)))
    except InputError as error:
        raise InputError(f"{key}={error}" if key else str(error)) from None


def identity(given: str, key: str) -> str:
    """Hash of the content of a file, or of what a library's weights are known by.

    Raises:
        InputError: there is no such file or model.
    """
    if libraries.is_library(given):
        libraries.check_name(key, given)
        return sha256_of_value(libraries.weights_name(given))
    if not Path(given).is_file():
        raise InputError(f"{key}={given}: no such file; expected weights, torchvision:NAME or timm:NAME")
    return sha256_of(Path(given))


def load_weights(net: Net, given: str | Path | Weights, *, new_classifier: bool = False) -> bool:
    """Copy trained weights into ``net``, and take over the padding and batch norm that they were trained with.

    Gives whether the classifier is theirs too. Quantizer ranges stay as they are unless the weights are ours. A network
    without a head takes what it has.

    Args:
        given: a path, `torchvision:NAME` or `timm:NAME`, or what `read_weights` gave.
        new_classifier: a classifier of another number of classes starts anew, close to zero so that it does not throw
            a trained trunk about in its first steps, instead of being an error.

    Raises:
        InputError: the weights cannot be read, or are another network's; ``net`` is as it was.
    """
    weights = given if isinstance(given, Weights) else read_weights(str(given))
    own, theirs = net.state_dict(), _names(weights, net.spec)
    left_out = [name for name in theirs if name not in own]  # the head of a backbone
    classifier = [name for name, place in places(net.spec).items() if place.slot == CLASSIFIER and name in own]
    theirs_of_classifier = [weights.tensors[theirs[name]] for name in classifier if theirs[name] in weights.tensors]
    known = {size for tensor in theirs_of_classifier for size in tensor.shape[:1]}
    if known - {net.spec.head.classes}:
        if not new_classifier:
            number = known.pop()
            raise InputError(f"{weights.label}: knows {number} classes; the network has {net.spec.head.classes}")
        layers = {name.split(".conv.")[0] for name in classifier}
        left_out += [*classifier, *(name for name in (f"{layer}.shift" for layer in layers) if name in theirs)]
    taken = {ours: name for ours, name in theirs.items() if ours not in left_out}
    others = {theirs[name] for name in left_out}
    content = {name: value for name, value in weights.tensors.items() if name not in others}
    problems = differences({name: own[ours] for ours, name in taken.items()}, content)
    if problems:
        raise InputError(f"{weights.label}: not a {net.spec.name}: {first_of(problems)}; {_looks_like(weights)}")
    with torch.no_grad():
        for name in (name for name in classifier if name in left_out):
            own[name].normal_(0, NEW_CLASSIFIER_STD) if own[name].dim() > 1 else own[name].zero_()
        for ours, name in taken.items():
            own[ours].copy_(content[name].reshape(own[ours].shape))
    source = weights.source(zoo_family(net.spec))
    if source is not None:
        net.spec = net.spec.under(source.convention)
        under(net, source.convention)
    return not set(classifier) & set(left_out)


def _names(weights: Weights, spec: NetSpec) -> dict[str, str]:
    """Their name, by ours, of all that the weights of the whole network hold."""
    naming = weights.naming
    if naming is not None and zoo_family(spec) in naming.sources:
        return naming.theirs(spec)
    if naming is None and is_ours(weights.tensors):
        with shapes_only():
            names = Net(spec).state_dict()
        optional = ("num_batches_tracked", "shift")  # the latter only since quantization has one
        return {name: name for name in names if name in weights.tensors or not name.endswith(optional)}
    raise InputError(f"{weights.label}: not a {spec.name}; {_looks_like(weights)}")


def recognised(weights: Weights) -> str | None:
    """The name of the zoo's network that the weights are of; None where there is none."""
    naming, given = weights.naming, weights.tensors
    if naming is None and not is_ours(given):
        return None
    for entry in zoo_entries():
        spec = entry.build()
        if (naming is None or entry.family in naming.sources) and _fits(_names(weights, spec), spec, given):
            return entry.name
    return None


def _looks_like(weights: Weights) -> str:
    """What the weights are of, in words."""
    naming, given = weights.naming, weights.tensors
    if naming is None and not is_ours(given):
        some = ", ".join(list(given)[:2])
        known = ", ".join(one.whose for one in NAMINGS)
        return f"it begins with {some}, as none of these names its tensors: frostnas, {known}"
    whose = naming.whose if naming else "frostnas"
    if name := recognised(weights):
        return f"it looks like {name} by {whose}; give net={name}"
    return f"it is named as by {whose}, and like no network that `frostnas zoo` lists"


def _fits(theirs: dict[str, str], spec: NetSpec, given: dict[str, Tensor]) -> bool:
    """Whether the weights are of that network, but for its number of classes."""
    with shapes_only():
        own = Net(spec).state_dict()
    body = {ours: name for ours, name in theirs.items() if not ours.startswith("head.") or ours.startswith("head.0.")}
    return all(name in given for name in theirs.values()) and not differences(
        {name: own[ours] for ours, name in body.items()}, {name: given[name] for name in body.values()}
    )
