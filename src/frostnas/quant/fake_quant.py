"""Fake quantization: values on the integer grid in the forward pass, gradients straight through."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frostnas.config import Observer, QuantConfig
from frostnas.quant.layer import Layer
from frostnas.quant.observers import ends

SMALLEST_SCALE = 2.0**-23  # an empty range still has a grid; float32 epsilon, as in torch's own observers


class QuantState(Enum):
    """What the quantizers of a live model do; `set_state` switches all of them."""

    FLOAT = "float"
    """Pass through; ranges do not move."""
    OBSERVE = "observe"
    """Pass through; ranges follow the activations (StatAssist, and calibration after training)."""
    FAKE = "fake"
    """Round to the grid; ranges follow the activations in training mode."""
    FROZEN = "frozen"
    """Round to the grid; ranges and batch-norm statistics are fixed."""

    @property
    def quantizes(self) -> bool:
        return self in (QuantState.FAKE, QuantState.FROZEN)


@dataclass(frozen=True, slots=True)
class Scheme:
    """Integer ranges of a quantized network (uint8 activations and 8-bit weights by default)."""

    weight_bits: int = 8
    """8, or 7 for CPUs that saturate the sum of two u8*s8 products (x86 without VNNI)."""
    signed_activations: bool = False
    """int8 in place of uint8."""
    averaging: float = 0.01
    """Weight of the newest batch in the moving average of an activation range."""
    observer: Observer = Observer.minmax
    """What the newest batch says of it."""

    @classmethod
    def of(cls, config: QuantConfig) -> Scheme:
        """What the config says, with 8 bits and uint8 where it leaves them open."""
        return cls(config.weight_bits or 8, bool(config.signed_activations), config.averaging, config.observer)

    @property
    def weight_max(self) -> int:
        """Largest weight level; the smallest is its negative."""
        return int(2 ** (self.weight_bits - 1)) - 1

    @property
    def activation_min(self) -> int:
        return -128 if self.signed_activations else 0

    @property
    def activation_max(self) -> int:
        return self.activation_min + 255


class QTensor(NamedTuple):
    """An activation with the scale of the grid that it lies on.

    value: float32 (N, C, H, W). scale: float32 (), a buffer of the quantizer that made the value, with which the
    next convolution rounds its bias to int32 steps of weight scale times input scale.
    """

    value: Tensor
    scale: Tensor


class RangeError(FloatingPointError):
    """An activation range met NaN or infinity; the message names the layer."""


LEVELS = 255  # steps of an 8-bit grid
CACHED_ELEMENTS = 2**18  # float32: a MiB


def _by_tensors(x: Tensor) -> bool:
    """Whether the numbers of a grid stay tensors. Eager on a CPU, clamping to plain numbers is ten times faster."""
    return x.device.type != "cpu" or torch.compiler.is_compiling()


class _RoundToGrid(torch.autograd.Function):
    """Args: x; scale; zero, None where it is always 0; low, high: the interval that gradients pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor | float,
        zero: Tensor | float | None,
        low: Tensor | float,
        high: Tensor | float,
    ) -> Tensor:
        if not isinstance(scale, Tensor):
            assert not isinstance(zero, Tensor)
            ctx.save_for_backward(x)
            ctx.interval = low, high
            return _rounded(x, scale, zero or 0.0)
        ctx.save_for_backward(x, low, high)
        levels = torch.mul(x, 1.0 / scale).round_()
        levels = levels.clamp_(0, LEVELS) if zero is None else levels.add_(zero).clamp_(0, LEVELS).sub_(zero)
        return levels.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *interval = ctx.saved_tensors
        return _inside(gradients[0], x, *(interval or ctx.interval)), None, None, None, None


def _rounded(x: Tensor, scale: float, zero: float) -> Tensor:
    """``x`` on the grid, some images at a time, so that all but the first operation find them in a CPU's cache."""
    result = torch.empty_like(x)
    pieces = [(x, result)]
    if x.numel() > CACHED_ELEMENTS:
        rows = max(1, CACHED_ELEMENTS // x[:1].numel())
        pieces = list(zip(torch.split(x, rows), torch.split(result, rows), strict=True))
    for source, levels in pieces:
        torch.mul(source, 1.0 / scale, out=levels)
        levels.round_().clamp_(-zero, LEVELS - zero).mul_(scale)
    return result


def _inside(gradient: Tensor, x: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """``gradient`` where low <= x <= high, else 0."""
    if isinstance(low, Tensor):
        return torch.where((x >= low) & (x <= high), gradient, 0.0)
    # One fused kernel, whose interval is open.
    below, above = (
        float(np.nextafter(np.float32(end), np.float32(to))) for end, to in ((low, -np.inf), (high, np.inf))
    )
    return torch.ops.aten.hardtanh_backward(gradient, x, below, above)  # type: ignore[no-any-return]


class ActivationQuantizer(Layer):
    """Affine per-tensor fake quantization to 8 bits with a moving-average range, by default of minimum and maximum.

    The range is cut to [floor, ceiling], which makes a ReLU (0, inf) or ReLU6 (0, 6) before it a part of it, and
    always holds zero, so that zero padding is exact. The first observed batch sets it.

    Buffers, float32 (): `low` and `high`, the averaged ends; `scale`; `zero`, the level of 0 above the lowest.
    bool (): `started`.
    """

    STEPS: ClassVar[int] = LEVELS
    """Steps from one end of the range to the other."""

    low: Tensor
    high: Tensor
    scale: Tensor
    zero: Tensor
    started: Tensor

    def __init__(
        self,
        scheme: Scheme,
        floor: float = -torch.inf,
        ceiling: float = torch.inf,
        *,
        fixed: bool = False,
    ) -> None:
        """Args: fixed: the range is [floor, ceiling] and never moves, for functions with a known image."""
        super().__init__()
        self.scheme, self.floor, self.ceiling, self.fixed = scheme, floor, ceiling, fixed
        self.state = QuantState.FLOAT
        self.name = ""  # set by the network that holds the layer, for error messages
        self.across: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
        """Joins a batch's ends with those of other processes."""
        self.register_buffer("low", torch.tensor(floor if fixed else 0.0))
        self.register_buffer("high", torch.tensor(ceiling if fixed else 0.0))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero", torch.tensor(0.0))
        self.register_buffer("started", torch.tensor(fixed))
        if fixed:
            self._set_grid()

    @property
    def zero_point(self) -> int:
        """The integer that stands for 0."""
        return self.scheme.activation_min + int(self.zero.item())

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Move the range towards the one that the batch asks for.

        Raises:
            RangeError: the batch holds NaN or infinity (on CUDA: when `check` is called, to spare a synchronisation).
        """
        if self.fixed:
            return
        found = ends(x, self.floor, self.ceiling, self.scheme.observer, self.STEPS)
        high = found.high.to(self.high.dtype)
        low = self.low if self.floor == 0 else found.low.to(self.low.dtype)
        if self.across is not None:
            low, high = self.across(low, high)
        weight = torch.where(self.started, self.scheme.averaging, 1.0)
        self.high.lerp_(high, weight)
        if self.floor < 0:
            self.low.lerp_(low, weight)
        self.started.fill_(True)
        self._set_grid()
        if not _by_tensors(x):
            self.check()

    def _set_grid(self) -> None:
        high = self.high.clamp(0.0, self.ceiling)
        if self.floor == 0:  # low and zero stay 0
            self.scale.copy_((high / self.STEPS).clamp_(min=SMALLEST_SCALE))
            return
        low = self.low.clamp(self.floor, 0.0)
        self.scale.copy_(((high - low) / self.STEPS).clamp_(min=SMALLEST_SCALE))
        self.zero.copy_(torch.round(-low / self.scale).clamp_(0, LEVELS))

    def check(self) -> None:
        """Raise RangeError if the range is not finite."""
        low, high = self.low.item(), self.high.item()
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RangeError(
                f"layer {self.name or '(unnamed)'}: activations reached {low} to {high}; "
                "lower the learning rate or look for broken input"
            )

    def forward(self, x: Tensor) -> QTensor:
        if self.state is QuantState.OBSERVE or (self.training and self.state is QuantState.FAKE):
            self.observe(x)
        if self.state.quantizes:
            scale, zero = (one if _by_tensors(x) else one.item() for one in (self.scale, self.zero))
            # The half step at either end still rounds into the grid; below a ReLU's zero nothing passes.
            low = (-0.5 - zero) * scale if self.floor < 0 else zero
            high = (LEVELS + 0.5 - zero) * scale
            x = _RoundToGrid.apply(x, scale, zero if self.floor < 0 else None, low, high)
        elif self.floor > -torch.inf or self.ceiling < torch.inf:
            # On a CPU `clamp` takes twice as long, most of it in its gradient.
            x = F.hardtanh(x, self.floor, self.ceiling) if self.ceiling < torch.inf else torch.relu(x)
        return QTensor(x, self.scale)

    def extra_repr(self) -> str:
        return f"range=[{self.low.item():.4g}, {self.high.item():.4g}], state={self.state.value}"


class InputQuantizer(ActivationQuantizer):
    """The quantizer of images whose pixels have `LEVELS` steps themselves.

    On a grid of as many steps all of them can lie halfway between two levels, as they do where the mean of the
    normalisation is 0.5. Their last bit, in which runtimes differ, would then decide: a trained network agreed with its
    exported file on 96.6% of the images. With one step less at most two pixel values lie there.
    """

    STEPS = LEVELS - 1

    def __init__(self, scheme: Scheme) -> None:
        """Pixels have no outliers: the range holds all of them, whatever the scheme observes elsewhere."""
        super().__init__(replace(scheme, observer=Observer.minmax))


def weight_scale(weight: Tensor, scheme: Scheme) -> Tensor:
    """Symmetric scale per output channel: (C_out, ...) float -> (C_out, 1, ...) float32."""
    # Two vectorised passes; `aminmax` and `vector_norm` along a dimension are scalar loops on a CPU.
    largest = weight.detach().flatten(1).abs().amax(1).view(-1, *[1] * (weight.dim() - 1))
    return torch.clamp(largest / scheme.weight_max, min=torch.finfo().tiny)


class _RoundWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        rounded: Tensor = torch.div(weight, scale).round_().mul_(scale)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


def fake_quantize_weight(weight: Tensor, scheme: Scheme) -> Tensor:
    """A convolution weight (C_out, C_in / groups, k, k) rounded to its per-channel grid.

    The straight-through gradient is the identity: with a range from the weight itself nothing is clipped.
    """
    rounded: Tensor = _RoundWeight.apply(weight, weight_scale(weight, scheme))
    return rounded


def set_state(model: nn.Module, state: QuantState) -> None:
    """Switch every quantizer of a live model; parameters, moments and statistics stay as they are."""
    for module in model.modules():
        if isinstance(module, ActivationQuantizer):
            module.state = state
    model.train(model.training)  # lets layers hold their batch norm still, or release it


def check_ranges(model: nn.Module) -> None:
    """Raise RangeError for the first layer whose activation range is not finite."""
    for module in model.modules():
        if isinstance(module, ActivationQuantizer):
            module.check()
