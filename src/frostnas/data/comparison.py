"""Whether two results were made from the same images, seen in the same way."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from frostnas.artifacts import ImageFormat, Provenance
from frostnas.data.identity import changes


def other_images(old: Provenance, new: Provenance) -> list[str]:
    """`images (what differs; ...)` if they or how they are seen differ; nothing where one side was made from none."""
    if old.split is None or new.split is None or old.images is None or new.images is None:
        return []
    found = changes(old.split, new.split)
    if old.split.data == new.split.data:  # another data set is seen in another way by itself
        found += format_changes(old.images, new.images)
    return [f"images ({'; '.join(found)})"] if found else []


def format_changes(old: ImageFormat, new: ImageFormat) -> list[str]:
    """What differs in how images are seen; the classes are named by the images."""
    before, after = _values(old), _values(new)
    return [f"{name} {before[name]}, now {after[name]}" for name in before if before[name] != after[name]]


def _values(images: ImageFormat) -> dict[str, Any]:
    """By their names, those of the reading too."""
    plain = asdict(images)
    values = {name: value for name, value in plain.items() if name not in ("classes", "reading")}
    return {name.replace("_", " "): value for name, value in (values | plain["reading"]).items()}
