"""What the images of a data set are known by again, and how one set of them differs from another, in sentences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from frostnas.artifacts import ClassImages, SplitRecord
from frostnas.data.folder import Listing

TRAIN, VAL, TEST, WHOLE = "train", "val", "test", ""
"""Parts of a data set by what they are for; the last is of a set that is split by `data.test_fraction`."""
SHOWN = 4  # classes that are named one by one


def of_files(listing: Listing, part: str) -> tuple[ClassImages, ...]:
    """Every class of a listing, by the names of its files in the class folder and by their content.

    Where the folder lies and when a file was written is not a part of it.
    """
    digests = [sha256() for _ in listing.classes]
    counts = [0] * len(listing.classes)
    for label, name, look in zip(listing.labels.tolist(), listing.names, listing.looks, strict=True):
        digests[label].update(os.fsencode(name) + b"\0" + look.sha256)
        counts[label] += 1
    rows = zip(listing.classes, counts, digests, strict=True)
    return tuple(ClassImages(part, name, count, digest.hexdigest()) for name, count, digest in rows)


def of_pixels(
    pixels: npt.NDArray[Any], labels: npt.NDArray[np.int64], classes: Sequence[str], part: str = WHOLE
) -> tuple[ClassImages, ...]:
    """Every class of images (N, ...) in memory with labels (N,), by their pixels in their order."""
    chosen = [pixels[labels == label] for label in range(len(classes))]
    return tuple(
        ClassImages(part, name, len(some), sha256(np.ascontiguousarray(some).tobytes()).hexdigest())
        for name, some in zip(classes, chosen, strict=True)
    )


def changes(recorded: SplitRecord, now: SplitRecord) -> list[str]:
    """What is different about the images or about how they are split, a sentence each; empty if nothing is.

    Files that could not be read are no part of a data set.
    """
    if recorded.data != now.data:
        return [f"data {recorded.data}, now {now.data}"]
    found = image_changes(recorded.images, now.images)
    if recorded.seed != now.seed:
        found.append(f"split seed {recorded.seed}, now {now.seed}")
    if recorded.test_fraction != now.test_fraction and None not in (recorded.test_fraction, now.test_fraction):
        found.append(f"test fraction {recorded.test_fraction}, now {now.test_fraction}")
    if not found:  # the same images in other parts
        counts = [("train", "train"), ("val", "choose"), ("test", "test")]
        pairs = [(getattr(recorded, part), getattr(now, part), purpose) for part, purpose in counts]
        found = [f"{old} images to {purpose}, now {new}" for old, new, purpose in pairs if old != new]
    if not found and recorded.test_indices != now.test_indices:
        found.append("other images are held out to test")
    return found


def image_changes(recorded: Iterable[ClassImages], now: Sequence[ClassImages]) -> list[str]:
    """What is different about the images themselves."""
    before, after = _by_part(recorded), _by_part(now)
    found = []
    if before.keys() != after.keys():
        found.append(f"parts {_parts(before)}, now {_parts(after)}")
    for part, classes in before.items():
        found += _class_changes(classes, after.get(part, classes))
    return list(dict.fromkeys(found))  # a class that goes is gone from every part


def held_out_changes(recorded: SplitRecord, now: Sequence[ClassImages]) -> list[str]:
    """As `image_changes`, where only some parts of the data set were looked at, as `HeldOut.images` are."""
    parts = {one.part for one in now}
    return image_changes([one for one in recorded.images if one.part in parts] or recorded.images, now)


def _by_part(images: Iterable[ClassImages]) -> dict[str, dict[str, ClassImages]]:
    found: dict[str, dict[str, ClassImages]] = {}
    for one in images:
        found.setdefault(one.part, {})[one.name] = one
    return found


def _parts(found: Iterable[str]) -> str:
    return ", ".join(part or "one to be split" for part in found) or "none"


def _class_changes(before: dict[str, ClassImages], after: dict[str, ClassImages]) -> list[str]:
    """Of one part: classes that came and went, then those whose images are others."""
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    both = [name for name in before if name in after]
    found = []
    if gone or new:
        said = [
            f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {what}"
            for names, what in ((gone, "gone"), (new, "new"))
            if names
        ]
        found.append(f"class{'es' if len(gone or new) > 1 else ''} {', '.join(said)}")
    elif list(before) != list(after):
        found.append("the classes are in another order")
    changed = [name for name in both if before[name].sha256 != after[name].sha256]
    found += [_image_change(before[name], after[name]) for name in changed[:SHOWN]]
    if len(changed) > SHOWN:
        found.append(f"files in {len(changed) - SHOWN} more classes changed")
    return found


def _image_change(before: ClassImages, after: ClassImages) -> str:
    where = f"{after.part}/{after.name}" if after.part else after.name
    more = after.images - before.images
    if not more:
        return f"files in {where} changed"
    return f"{abs(more)} file{'s' if abs(more) > 1 else ''} {'more' if more > 0 else 'fewer'} in {where}"


def _listed(names: Sequence[str]) -> str:
    left = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {left} more" if left > 0 else "")
