"""A point of the network space as a value, and its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Op:
    """What one layer chooses; `str` gives `k3e6r4`."""

    kernel: int
    expand: float
    squeeze: int
    """R of the squeeze to C // R channels, 0 for none."""

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expand:g}r{self.squeeze}"


@dataclass(frozen=True, slots=True)
class StageChoice:
    """The choices of one stage; `str` gives `24:k3e6r4,k5e3r2`."""

    width: int
    """Output channels."""
    ops: tuple[Op, ...]
    """One per layer that is kept."""

    def __str__(self) -> str:
        return f"{self.width}:{','.join(map(str, self.ops))}"


Arch = tuple[StageChoice, ...]
"""A point of the space: one `StageChoice` per stage of the skeleton."""


def arch_name(arch: Arch) -> str:
    """The choices in one line; different points have different names."""
    return "|".join(map(str, arch))


def parse_arch(name: str) -> Arch:
    """The point that `arch_name` named."""
    stages = (stage.split(":") for stage in name.split("|"))
    return tuple(StageChoice(int(width), tuple(map(_parse_op, ops.split(",")))) for width, ops in stages)


def _parse_op(name: str) -> Op:
    kernel, _, rest = name[1:].partition("e")
    expand, _, squeeze = rest.partition("r")
    return Op(int(kernel), float(expand), int(squeeze))
