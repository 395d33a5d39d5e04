"""`frostnas predict`: what an exported network sees in image files. Needs no torch, so that it runs on the board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from frostnas.artifacts import Reading
from frostnas.cli.outcome import Outcome
from frostnas.deploy.runtime import INT8_NAME, OnnxClassifier
from frostnas.errors import InputError
from frostnas.picture import Bytes, fit, normalised, read_picture
from frostnas.report.grids import Grid, Rows
from frostnas.report.tables import view

TOP = 5  # classes of an image
FEW = 8  # images: of more the table shows the likeliest class alone
NAMED = 5  # files that the last line names


@dataclass(frozen=True, slots=True)
class Guess:
    """One class that an image may show."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest classes of one image, likeliest first."""

    path: str
    classes: tuple[Guess, ...] = ()
    error: str | None = None
    """Why there are none."""


def predict(path: Path, pictures: Sequence[str]) -> Outcome:
    """Classify image files; one that cannot be read is said and costs the others nothing.

    Args:
        path: a run directory or an exported file.
        pictures: paths of image files, and of folders of them at any depth.

    Raises:
        InputError: ``path`` cannot be used; when the outcome is finished, a picture could not.
    """
    model = OnnxClassifier(path / INT8_NAME if path.is_dir() else path)
    found = [_predict(model, one) for word in pictures for one in _files(Path(word))]
    return Outcome(found, view(_grid(found)), lambda: _complain(found))


def _files(path: Path) -> Iterator[Path]:
    """``path`` itself, or of a folder everything that Pillow knows by its ending, in the order of its name."""
    path = path if path.exists() else path.expanduser()
    if not path.is_dir():
        yield path
        return
    endings = Image.registered_extensions()
    for one in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in one.relative_to(path).parts)
        if one.suffix.lower() in endings and one.is_file() and not hidden:
            yield one


def _predict(model: OnnxClassifier, path: Path) -> Prediction:
    images = model.images
    try:
        pixels = fit(_picture(path, images.reading), images.image_size).transpose(2, 0, 1)  # (3, S, S)
    except InputError as error:
        return Prediction(str(path), error=str(error))
    chances = model.chances(normalised(pixels[None], images.mean, images.std))[0]
    best = np.argsort(-chances, kind="stable")[:TOP]
    return Prediction(str(path), tuple(Guess(images.classes[i], float(chances[i])) for i in best))


def _picture(path: Path, reading: Reading) -> Bytes:
    if not path.is_file():
        raise InputError("no such file; expected an image")
    try:
        return read_picture(path, reading)
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        raise InputError(f"cannot be read as an image ({error})") from None


def _complain(found: Sequence[Prediction]) -> None:
    """
    Raises:
        InputError: there was no picture, or some could not be read.
    """
    bad = [one for one in found if one.error is not None]
    if not found:
        raise InputError("no image in the folders; expected image files, or folders of them")
    if len(bad) == 1:
        raise InputError(f"{bad[0].path}: {bad[0].error}")
    if bad:
        names = ", ".join(one.path for one in bad[:NAMED])
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise InputError(f"{len(bad)} of {len(found)} pictures cannot be read: {names}{more}")


def _grid(found: Sequence[Prediction]) -> Grid:
    rows: Rows = []
    for one in found:
        if one.error is not None:
            rows.append((one.path, one.error, ""))
        shown = one.classes if len(found) <= FEW else one.classes[:1]
        rows += [
            (one.path if number == 0 else "", guess.name, f"{guess.probability:.1%}")
            for number, guess in enumerate(shown)
        ]
    return Grid("", rows, ("image", "class", "probability"), ("image", "class"))
