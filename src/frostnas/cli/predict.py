"""`frostnas predict`: what an exported network sees in image files. Needs no torch, so that it runs on the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from frostnas.artifacts import Reading
from frostnas.cli.outcome import Outcome
from frostnas.deploy.runtime import INT8_NAME, OnnxClassifier
from frostnas.errors import InputError
from frostnas.picture import Bytes, fit, normalised, read_picture

TOP = 5


@dataclass(frozen=True, slots=True)
class Guess:
    """One class that an image may show."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest classes of one image, likeliest first."""

    path: str
    classes: tuple[Guess, ...]


def predict(path: Path, pictures: Sequence[str]) -> Outcome:
    """Classify image files.

    Args:
        path: a run directory or an exported file.
        pictures: paths of image files.

    Raises:
        InputError: one of the files is missing or cannot be read.
    """
    model = OnnxClassifier(path / INT8_NAME if path.is_dir() else path)
    images, found = model.images, []
    for word in pictures:
        pixels = fit(_picture(Path(word), images.reading), images.image_size).transpose(2, 0, 1)  # (3, S, S)
        chances = _softmax(model.logits(normalised(pixels[None], images.mean, images.std))[0])
        best = np.argsort(-chances, kind="stable")[:TOP]
        found.append(Prediction(word, tuple(Guess(images.classes[i], float(chances[i])) for i in best)))
    return Outcome(found, _view(found))


def _picture(path: Path, reading: Reading) -> Bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an image")
    try:
        return read_picture(path, reading)
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        raise InputError(f"{path}: cannot be read as an image ({error})") from None


def _softmax(logits: np.ndarray[tuple[int], np.dtype[np.float32]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    grown = np.exp(logits.astype(np.float64) - logits.max())
    chances: np.ndarray[tuple[int], np.dtype[np.float64]] = grown / grown.sum()
    return chances


def _view(found: Sequence[Prediction]) -> Table:
    table = Table()
    table.add_column("image", overflow="fold")
    for column in ("class", "probability"):
        table.add_column(column, justify="right" if column == "probability" else "left")
    for one in found:
        for number, guess in enumerate(one.classes):
            table.add_row(one.path if number == 0 else "", guess.name, f"{guess.probability:.1%}")
        table.add_section()
    return table
