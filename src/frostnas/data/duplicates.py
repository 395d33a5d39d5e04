"""Image files that are there more than once, found by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from frostnas.data.identity import TEST, TRAIN, VAL
from frostnas.data.look import Look
from frostnas.data.walk import shown

Labelled = Sequence[tuple[Look, int]]
"""Files with their classes."""
PURPOSE = {TRAIN: "train", VAL: "choose", TEST: "test"}


def duplicate_notes(parts: Mapping[str, Labelled]) -> list[str]:
    """Files that lie in two parts, or in two classes, counted: numbers on copies of training images are too good."""
    notes = []
    for later, earlier in ((TEST, TRAIN), (TEST, VAL), (VAL, TRAIN)):
        known = {look.sha256 for look, _ in parts[earlier]}
        copies = [look for look, _ in parts[later] if look.sha256 in known]
        if copies:
            notes.append(
                f"{len(copies)} of {len(parts[later])} images to {PURPOSE[later]} on are copies of images to "
                f"{PURPOSE[earlier]} on, such as {shown(copies[0].path)}"
            )
    classes: dict[bytes, int] = {}
    torn = [look for part in parts.values() for look, label in part if classes.setdefault(look.sha256, label) != label]
    if torn:
        notes.append(f"{len(torn)} images are copies of images of another class, such as {shown(torn[0].path)}")
    return notes
