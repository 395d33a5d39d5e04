"""An exported file in a program of one's own: `frostnas.load_int8`. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frostnas.artifacts import Reading
from frostnas.deploy.runtime import INT8_NAME, OnnxClassifier
from frostnas.errors import InputError
from frostnas.picture import Bytes, fit, normalised, read_picture


class Int8Model:
    """A network in ONNX Runtime with its classes and its preprocessing: ``model(model.preprocess("cat.jpg"))``."""

    def __init__(self, path: Path, threads: int) -> None:
        self._model = OnnxClassifier(path, threads)
        self.path = path
        self.images = self._model.images
        """Image size, classes, how pictures are read, and the mean and std that pixels are normalised with."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the outputs mean, in order."""
        return self.images.classes

    def preprocess(self, *pictures: str | Path | Bytes) -> NDArray[np.float32]:
        """Pictures as the network's input, float32 (N, 3, S, S).

        Args:
            pictures: image files, or RGB pixels uint8 (H, W, 3).

        Raises:
            InputError: there is no such file, or it is no image.
        """
        size = self.images.image_size
        reading = self.images.reading
        fitted = [fit(_pixels(one, reading), size).transpose(2, 0, 1) for one in pictures]  # (3, S, S)
        return normalised(np.stack(fitted), self.images.mean, self.images.std)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 (N, classes) of preprocessed images, float32 (N, 3, S, S)."""
        return self._model.logits(images)


def load_int8(path: str | Path, threads: int = 1) -> Int8Model:
    """The INT8 network of a run directory, or an exported .onnx file.

    Args:
        threads: CPU threads of one call.

    Raises:
        InputError: the file is missing, cannot be loaded, or was not exported by frostnas.
    """
    path = Path(path)
    return Int8Model(path / INT8_NAME if path.is_dir() else path, threads)


def _pixels(picture: str | Path | Bytes, reading: Reading) -> Bytes:
    if isinstance(picture, np.ndarray):
        return picture
    if not Path(picture).is_file():
        raise InputError(f"{picture}: no such file; expected an image")
    try:
        return read_picture(Path(picture), reading)
    except Exception as error:  # Pillow's readers raise whatever their format's parser does
        raise InputError(f"{picture}: cannot be read as an image ({error})") from None
