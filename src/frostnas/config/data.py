"""The `data` group: which images, at what size, split how."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from frostnas.config.fields import bounded, listed, place
from frostnas.errors import InputError


class DataName(Enum):
    """Data sets that frostnas reads."""

    digits = "digits"
    hard_digits = "hard_digits"
    cifar10 = "cifar10"
    cifar100 = "cifar100"
    fashion_mnist = "fashion_mnist"
    imagefolder = "imagefolder"


@dataclass
class AugmentConfig:
    """Training-time augmentation of a batch; every part can be turned off with 0 or false."""

    shift: float = bounded(0.0, 0, 0.5)
    """Largest translation as a fraction of the image side."""
    rotate: float = bounded(0.0, 0, 180)
    """Largest rotation in degrees."""
    scale: float = bounded(0.0, 0, 0.9)
    """Largest relative change of size."""
    crop: float = bounded(1.0, 0.01, 1)
    """Smallest share of the image's area that a random crop, resized to the whole, keeps; 1 for no crop."""
    flip: bool = False
    """Mirror left-right with probability 1/2."""
    randaugment: float = bounded(0.0, 0, 10)
    """Mean magnitude of two random operations per image (RandAugment); 9 in the ImageNet recipe."""
    randaugment_std: float = bounded(0.0, 0)
    """Standard deviation of that magnitude; 0.5 in the ImageNet recipe."""
    erase: float = bounded(0.0, 0, 1)
    """Probability that a random rectangle of an image is replaced by noise (random erasing)."""


@dataclass
class DataConfig:
    """Images and their splits."""

    name: DataName = DataName.digits
    root: str = place("data")
    """Folder of the data set; unused by the bundled digits."""
    image_size: int | None = bounded(None, 8, 1024)
    """Side of the square input, pixels; null: what a search chooses, an existing network's own, or `usual_size`."""
    usual_size: int = bounded(16, 8, 1024, matters=False)
    """Side where neither `image_size` nor anything else says it: every data set has its own."""
    train_size: int | None = bounded(None, 8, 1024)
    """Side of the largest batches of training pictures, pixels; null: the largest of `image_size` and what a teacher
    or a ladder takes. In memory they are kept large enough for their smallest crops to have that detail."""
    mean: list[float] | None = None
    """What pixels are normalised by, RGB scaled to 0..1; null: that of the weights that training starts from, else that
    of the data set."""
    std: list[float] | None = None
    """With `mean`: the deviations that they are divided by."""
    download: bool = place(False)
    """Let torchvision download a missing data set."""
    test_fraction: float = bounded(0.2, 0.01, 0.9)
    """Held out for the final numbers where the data set has no test split of its own."""
    val_fraction: float = bounded(0.15, 0.01, 0.9)
    """Part of the training images that choices (checkpoints, architectures) are made on."""
    split_seed: int = bounded(0, 0)
    background: list[int] = listed(128, 128, 128)
    """RGB, 0 to 255, that transparent parts of pictures are put on."""
    levels: list[float] | None = None
    """Black and white of grey pictures deeper than 8 bits; null: found from all of them."""
    strict: bool = place(False)
    """Fail on the first image that cannot be read, instead of counting and skipping it."""
    workers: int = bounded(2, 0, 256, matters=False)
    """Loader processes for sets that do not fit into memory."""
    in_memory_mb: int = bounded(1024, 0, matters=False)
    """Sets up to this many MiB as uint8 pixels live on the device."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def side(self) -> int:
        """Side of the square input, pixels."""
        return self.usual_size if self.image_size is None else self.image_size


NO_FOLDER = (DataName.digits, DataName.hard_digits)  # these come with scikit-learn


def check_place(config: DataConfig) -> None:
    """Check that a folder is named for data that lie in one alone; a command on a run knows so late which they are.

    Raises:
        InputError: a folder for data that have none, as if it were a folder of images.
    """
    if config.name in NO_FOLDER and config.root != DataConfig().root:
        raise InputError(
            f"data.root={config.root}: data={config.name.value} have no folder; expected data=imagefolder with it, or "
            "experiment=imagefolder"
        )


def check_data(config: DataConfig) -> None:
    """Check what the limits of single fields cannot say.

    Raises:
        InputError: the background is no colour, or the levels are not two that rise.
    """
    if len(config.background) != 3 or not all(0 <= value <= 255 for value in config.background):
        raise InputError(f"data.background={config.background}: expected [RED,GREEN,BLUE], each 0 to 255")
    levels = config.levels
    if levels is not None and (len(levels) != 2 or not -math.inf < levels[0] < levels[1] < math.inf):
        raise InputError(f"data.levels={levels}: expected [BLACK,WHITE] with black below white, or null")
