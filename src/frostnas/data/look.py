"""The one look at every image file before a training: whether it can be read, and what its reading needs to know."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from frostnas.config import DataConfig
from frostnas.data.walk import shown
from frostnas.errors import InputError
from frostnas.picture import has_alpha, is_deep, upright, with_alpha

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Depth:
    """Values of a grey picture deeper than 8 bits, those alone that are numbers."""

    low: float
    high: float
    whole: bool
    """Integers, or floating-point values that all are."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of an image file."""

    path: Path
    sha256: bytes
    """Of its content."""
    depth: Depth | None
    """None for 8 bits."""
    transparent: bool
    """Parts of it are."""


def look_at_all(files: Sequence[Path], config: DataConfig) -> list[Look]:
    """Those of the files that are images; the others are named in the log.

    Raises:
        InputError: with `data.strict`, the first file that is no image.
    """
    with ThreadPoolExecutor(max(1, config.workers)) as pool:
        seen = list(pool.map(look_at, files))
    good = []
    for path, look in zip(files, seen, strict=True):
        if isinstance(look, Look):
            good.append(look)
        elif config.strict:
            raise InputError(f"{shown(path)}: {look}; expected an image (data.strict=true)")
        else:
            log.warning("%s: skipped: %s", shown(path), look)
    return good


def look_at(path: Path) -> Look | str:
    """What there is to see, or why the file cannot be read as an image, to its last row."""
    try:
        content = path.read_bytes()
        image = upright(BytesIO(content))
        depth, transparent = None, False
        if is_deep(image):
            depth = _depth(image)
        else:
            transparent = has_alpha(image) and with_alpha(image).getchannel("A").getextrema() != (255, 255)
            if image.mode != "RGB":
                image.convert("RGB")  # which a mode may lack
    except UnidentifiedImageError:
        return "no image of a format that Pillow knows"
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        return shown(f"{type(error).__name__}: {error}")
    return Look(path, sha256(content).digest(), depth, transparent)


def _depth(image: Image.Image) -> Depth:
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
        if not values.size:
            raise ValueError("no value of it is a number")
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    return Depth(float(values.min()), float(values.max()), whole)
