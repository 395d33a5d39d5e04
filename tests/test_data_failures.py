"""What goes wrong while images are read is one line that names the file or the process, not a traceback."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from frostnas.artifacts import ImageFormat
from frostnas.config import AugmentConfig
from frostnas.data.pictures import PictureError
from frostnas.data.streamed import LoaderError, StreamedImages
from frostnas.picture import Bytes
from tests.test_data_folder import read, write_images


@dataclass(frozen=True)
class Failing:
    """Pictures that cannot be had any more from the eighth on."""

    killed: bool

    def __len__(self) -> int:
        return 16

    def picture(self, index: int) -> Bytes:
        if index >= 8 and self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if index >= 8:
            raise RuntimeError("unable to write to file </torch_1>: No space left on device (28)")
        return np.zeros((8, 8, 3), np.uint8)


def streamed(killed: bool) -> StreamedImages:
    images = ImageFormat(("a", "b"), 8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    pictures, where, labels = Failing(killed), torch.arange(16), torch.zeros(16).long()
    return StreamedImages(pictures, where, labels, images, AugmentConfig(), workers=1, side=8)


def test_a_loader_process_that_finds_no_memory_is_one_line() -> None:
    with pytest.raises(LoaderError, match=r"No space left on device \(28\); .* data\.workers=0") as caught:
        list(streamed(killed=False).batches(4))
    assert "\n" not in str(caught.value)


def test_a_loader_process_that_is_killed_is_one_line() -> None:
    what = r"(DataLoader worker .* exited unexpectedly|a loader process ended); .* data\.workers=0"
    with pytest.raises(LoaderError, match=what) as caught:
        list(streamed(killed=True).batches(4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_file_that_can_no_longer_be_read_is_named_in_one_line(tmp_path: Path, workers: int, damage: str) -> None:
    for number, name in enumerate(("a", "b")):
        write_images(tmp_path / name, 8, seed=number)
    train = read(tmp_path, in_memory_mb=0, workers=workers).train
    for path in tmp_path.glob("b/*"):
        path.unlink()
        if damage == "cut":
            path.write_bytes(b"\x89PNG")
    with pytest.raises(PictureError, match=r"^/.*/b/\d\.png: could be read when the images were listed") as caught:
        list(train.batches(4))
    assert "\n" not in str(caught.value)
