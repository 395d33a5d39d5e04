"""The other way from a trained network to an INT8 file: plain torch, then ONNX Runtime's own quantization.

EfficientNet-Lite0 in its own package's code, fine-tuned in FP32 as torchvision's documentation does it, exported by
`torch.onnx`, quantized after training as ONNX Runtime's manual says. Nothing of frostnas trains or quantizes here.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from frostnas.artifacts import Reading
from frostnas.picture import fit, read_picture

MEAN, STD = 127.0, 128.0  # of pixels in 0..255, as these weights were trained
CALIBRATION_IMAGES = 300
SHORTER_SIDE = 256  # of the pictures in memory that crops are cut from
SMALLEST_CROP = 0.35
DROP_PATH = 0.2  # what the package's model code does in training, unasked


@dataclass(frozen=True)
class Photos:
    """Labelled image files."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]

    def squares(self, size: int) -> Tensor:
        """Central squares as the network takes them, float32 (N, 3, size, size)."""
        pixels = np.stack([fit(read_picture(path, Reading()), size) for path in self.paths])
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - MEAN) / STD


@dataclass(frozen=True)
class Recipe:
    """Fine-tuning in plain torch."""

    epochs: int = 10
    batch_size: int = 64
    optimizer: str = "sgd"
    lr: float = 0.02
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    warmup_epochs: float = 1.0


def fresh(weights: Path, classes: int, size: int) -> nn.Module:
    """ImageNet's trunk, a new classifier, paddings for ``size``."""
    model = EfficientNet.from_name("efficientnet-lite0", num_classes=classes, image_size=size)
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    model.load_state_dict({key: value for key, value in stored.items() if not key.startswith("_fc.")}, strict=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1  # torch's own; the package's 0.01 would not arrive in a few hundred steps
    return model


class Crops:
    """Random crops and mirrorings of pictures in memory, anew in every epoch."""

    def __init__(self, photos: Photos, size: int) -> None:
        shrink = v2.Resize(SHORTER_SIDE, antialias=True)
        pictures = (torch.from_numpy(read_picture(path, Reading())).permute(2, 0, 1) for path in photos.paths)
        self.pictures = [one if min(one.shape[1:]) <= SHORTER_SIDE else shrink(one) for one in pictures]
        self.labels = torch.tensor(photos.labels)
        self.transform = v2.Compose(
            [v2.RandomResizedCrop(size, scale=(SMALLEST_CROP, 1.0), antialias=True), v2.RandomHorizontalFlip()]
        )

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.labels))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            pixels = torch.stack([self.transform(self.pictures[index]) for index in chosen.tolist()])
            yield (pixels.float() - MEAN) / STD, self.labels[chosen]


def fine_tune(crops: Crops, model: nn.Module, recipe: Recipe, seed: int) -> None:
    """All layers together, cosine after a short warm-up, in channels_last; on CUDA where there is one."""
    random.seed(seed)  # of the package's own layers
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    make = {
        "sgd": lambda parameters: torch.optim.SGD(
            parameters, lr=recipe.lr, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
        ),
        "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay),
    }
    optimizer = make[recipe.optimizer](model.parameters())
    per_epoch = len(crops.labels) // recipe.batch_size
    steps, warmup = recipe.epochs * per_epoch, recipe.warmup_epochs * per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: (
            (step + 1) / warmup
            if step < warmup
            else 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        ),
    )
    model.train()
    for epoch in range(recipe.epochs):
        losses = []
        for pixels, labels in crops.batches(recipe.batch_size):
            logits = model(pixels.to(device, memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, labels.to(device), label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"  torch: epoch {epoch + 1} of {recipe.epochs}, loss {np.mean(losses):.3f}", flush=True)
    model.cpu().eval()


@torch.no_grad()
def top1(model: nn.Module, pixels: Tensor, labels: Sequence[int]) -> float:
    """In torch; as a fraction."""
    named = torch.cat(
        [model(some.contiguous(memory_format=torch.channels_last)).argmax(1) for some in pixels.split(128)]
    )
    return float((named == torch.tensor(labels)).float().mean())


def write_onnx(model: nn.Module, size: int, path: Path) -> None:
    example = torch.zeros(1, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package announces its successor
        torch.onnx.export(
            model.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
            (example,),
            path,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: NDArray[np.float32]) -> None:
        self.left = iter(pixels)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self.left, None)
        return None if image is None else {"image": image[None]}


def quantize(path: Path, pixels: Tensor, out: Path, reduce_range: bool) -> None:
    """Static quantization after training: shapes inferred, QDQ, per channel, min/max of ``pixels`` (N, 3, S, S).

    Args:
        reduce_range: 7-bit weights, which the manual wants on x86 CPUs without VNNI.
    """
    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(path, prepared)
    quantize_static(
        prepared,
        out,
        _Reader(pixels.numpy()),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=reduce_range,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def file_top1(path: Path, pixels: Tensor, labels: Sequence[int]) -> float:
    """In ONNX Runtime; as a fraction."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = [session.run(["logits"], {"image": some.numpy()})[0].argmax(1) for some in pixels.split(128)]
    return float(np.mean(np.concatenate(named) == np.asarray(labels)))
