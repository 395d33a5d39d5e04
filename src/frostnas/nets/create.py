"""A named network as a live one, with fresh or trained weights."""

from __future__ import annotations

from frostnas.nets.net import Net
from frostnas.nets.weights import load_weights
from frostnas.nets.zoo import zoo_spec
from frostnas.quant import Scheme


def create_model(
    name: str,
    num_classes: int = 1000,
    *,
    image_size: int = 224,
    features_only: bool = False,
    scheme: Scheme | None = None,
    weights: str | None = None,
) -> Net:
    """A named network, in floating point; `frostnas.quant.set_state` makes it quantized.

    Args:
        features_only: leave the head out; the forward pass gives the maps at strides 4, 8, 16 and 32, and
            `Net.feature_maps` their channels.
        scheme: integer ranges of the quantized form; uint8 activations and 8-bit weights if left out.
        weights: as `load_weights` takes them; a classifier of another number of classes is left fresh. None for fresh
            weights throughout.

    Raises:
        InputError: there is no network of that name, a number is not positive, or the weights do not fit.
    """
    net = Net(zoo_spec(name, num_classes, image_size), scheme, features_only=features_only)
    if weights is not None:
        load_weights(net, weights, new_classifier=True)
    return net
