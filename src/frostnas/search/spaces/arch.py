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
        return f"k{self.kernel}e{_exact(self.expand)}r{self.squeeze}"


@dataclass(frozen=True, slots=True)
class StageChoice:
    """The choices of one stage; `str` gives `24:k3e6r4,k5e3r2`."""

    width: int
    """Output channels."""
    ops: tuple[Op, ...]
    """One per layer that is kept."""

    def __str__(self) -> str:
        return f"{self.width}:{','.join(map(str, self.ops))}"


@dataclass(frozen=True, slots=True)
class Arch:
    """A point of the space; `str` gives `64px|24:k3e6r4,k5e3r2|40:k3e3r4`."""

    size: int
    """Side of its images, pixels."""
    stages: tuple[StageChoice, ...]
    """One per stage of the skeleton."""

    def __str__(self) -> str:
        return "|".join((f"{self.size}px", *map(str, self.stages)))


def arch_name(arch: Arch) -> str:
    """The choices in one line; different points have different names."""
    return str(arch)


def parse_arch(name: str) -> Arch:
    """The point that `arch_name` named."""
    size, *stages = name.split("|")
    return Arch(int(size.removesuffix("px")), tuple(map(_parse_stage, stages)))


def _parse_stage(name: str) -> StageChoice:
    width, ops = name.split(":")
    return StageChoice(int(width), tuple(map(_parse_op, ops.split(","))))


def _parse_op(name: str) -> Op:
    kernel, _, rest = name[1:].partition("e")
    expand, _, squeeze = rest.partition("r")
    return Op(int(kernel), float(expand), int(squeeze))


def _exact(value: float) -> str:
    """As short as it can be and still the same number when it is read again."""
    return short if float(short := f"{value:g}") == value else repr(value)
