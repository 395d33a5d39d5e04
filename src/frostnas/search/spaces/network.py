"""The network space: every network of a skeleton, as a point, as a path and as a spec.

A network chooses the size of its images; every stage a width and a depth, every layer a kernel, an expansion and a
squeeze ratio of its block. A skipped layer is one that the stage's depth leaves out: in a space drawn from scratch
skipping any other layer of the stage gives the same network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from frostnas.artifacts import LatencyTable, NetSpec, Workload
from frostnas.errors import InputError
from frostnas.search.spaces.arch import Arch, Op, StageChoice, arch_name
from frostnas.search.spaces.skeleton import Skeleton, Stage
from frostnas.search.spaces.trellis import Edge, Path, Slot, Trellis

SIZE: Slot = ("size", 0, 0)


class NetworkSpace:
    """Counts, enumerates, samples, varies and encodes networks; knows nothing of training."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.sizes, self.stages = skeleton.sizes, skeleton.stages
        self.stem, self.first, self.head = skeleton.stem, skeleton.first, skeleton.head
        self.trellis = self._build()
        self._ways = self.trellis.ways()

    # The parts

    def _side(self, size: int, stage: int, layer: int) -> int:
        """Side of a layer's input in pixels, of images of ``size``."""
        strides = [one.stride for one in self.stages[: stage + (layer > 0)]]
        for stride in (self.stem.stride, self.first.stride, *strides):
            size = -(-size // stride)
        return size

    def workload(self, size: int, stage: int, layer: int, in_channels: int, width: int, op: Op) -> Workload:
        """One layer of a stage, counted from 0, with its choices."""
        place = self.stages[stage].places[layer]
        return Workload(place.layer(op, width), in_channels, self._side(size, stage, layer))

    def options(self, stage: int, layer: int, in_channels: int, width: int) -> dict[str, int]:
        """Workload key -> index into the place's ops of every distinct candidate of a layer.

        Where the channels rule a squeeze out, ops that differ in nothing else are one candidate: the first.
        """
        found: dict[str, int] = {}
        for index, op in enumerate(self.stages[stage].places[layer].ops):
            found.setdefault(self.workload(self.sizes[0], stage, layer, in_channels, width, op).key, index)
        return found

    def _build(self) -> Trellis:
        """Nodes: all sizes; a stage entered with c channels at a size; (size, stage, layers so far, c, width).

        Edges: size, width, op, or the end of a stage. A single size is no decision, and has no node of its own.
        """
        names: list[tuple[int, ...]] = [()] if len(self.sizes) > 1 else []
        for size in self.sizes:
            names.append((size, 0, self.first.out_channels))
            for stage, one in enumerate(self.stages):
                entering = self.stages[stage - 1].widths if stage else (self.first.out_channels,)
                names += [(size, stage, 0, c, w) for c in entering for w in one.widths]
                names += [(size, stage, n, w, w) for n in range(1, len(one.places) + 1) for w in one.widths]
                if stage + 1 < len(self.stages):
                    names += [(size, stage + 1, w) for w in one.widths]
        names.append((len(self.stages),))
        number = {name: index for index, name in enumerate(names)}
        return Trellis(tuple(tuple(self._edges(name, number)) for name in names))

    def _edges(self, name: tuple[int, ...], number: dict[tuple[int, ...], int]) -> Iterator[Edge]:
        match name:
            case ():
                for option, size in enumerate(self.sizes):
                    yield Edge(number[size, 0, self.first.out_channels], SIZE, option)
            case (size, stage, channels):
                parts = self._start(size) if stage == 0 else ()
                for option, width in enumerate(self.stages[stage].widths):
                    yield Edge(number[size, stage, 0, channels, width], ("width", stage, 0), option, parts)
            case (size, stage, layer, channels, width):
                places = self.stages[stage].places
                if layer:
                    last = stage + 1 == len(self.stages)
                    end = (Workload(self.head, width, self._side(size, stage + 1, 0)),) if last else ()
                    target = number[(stage + 1,) if last else (size, stage + 1, width)]
                    yield Edge(target, ("depth", stage, 0), layer - 1, end)
                if layer < len(places):
                    for op in self.options(stage, layer, channels, width).values():
                        part = self.workload(size, stage, layer, channels, width, places[layer].ops[op])
                        yield Edge(number[size, stage, layer + 1, width, width], ("op", stage, layer), op, (part,))

    def _start(self, size: int) -> tuple[Workload, ...]:
        return Workload(self.stem, 3, size), Workload(self.first, self.stem.channels, -(-size // self.stem.stride))

    @property
    def slots(self) -> dict[Slot, int]:
        """Every decision and how many options it has."""
        found: dict[Slot, int] = {SIZE: len(self.sizes)} if len(self.sizes) > 1 else {}
        for stage, one in enumerate(self.stages):
            found["width", stage, 0] = len(one.widths)
            found |= {("op", stage, layer): len(place.ops) for layer, place in enumerate(one.places)}
            found["depth", stage, 0] = len(one.places)
        return found

    def only(self, arch: Arch) -> NetworkSpace:
        """The space of one network, and of its shorter ones."""
        stages = (
            Stage((choice.width,), tuple(replace(p, ops=(op,)) for p, op in zip(one.places, choice.ops, strict=False)))
            for one, choice in zip(self.stages, arch.stages, strict=True)
        )
        return NetworkSpace(replace(self.skeleton, sizes=(arch.size,), stages=tuple(stages)))

    # Counting and latency

    def count(self) -> int:
        """Number of distinct networks."""
        return self._ways[0]

    def __iter__(self) -> Iterator[Arch]:
        """Every network once."""
        return map(self.from_path, self.trellis.paths())

    def workloads(self) -> tuple[Workload, ...]:
        """Every distinct part that some network has; what a latency table of the space must hold."""
        parts = {part.key: part for edges in self.trellis.edges for edge in edges for part in edge.parts}
        return tuple(parts.values())

    def fastest(self, table: LatencyTable) -> tuple[Arch, float]:
        """The network of least predicted latency, and that latency in ms."""
        path, latency_ms = self.trellis.cheapest(table.workload_ms)
        return self.from_path(path), latency_ms

    def slowest(self, table: LatencyTable) -> tuple[Arch, float]:
        """The network of greatest predicted latency, and that latency in ms."""
        path, latency_ms = self.trellis.cheapest(table.workload_ms, dearest=True)
        return self.from_path(path), latency_ms

    @property
    def largest(self) -> Arch:
        """The network of the largest images that has every layer, as wide as it can be; all others are parts of it."""
        stages = (
            StageChoice(max(one.widths), tuple(max(place.ops, key=_greatness) for place in one.places))
            for one in self.stages
        )
        return self.canonical(Arch(self.sizes[-1], tuple(stages)))

    # Encoding

    def from_path(self, path: Path) -> Arch:
        return self._arch({edge.slot: edge.option for edge in path})

    def from_options(self, chosen: Mapping[Slot, int]) -> Arch:
        """The point that one option per slot gives; ops behind a stage's depth do not count."""
        return self.canonical(self._arch(chosen))

    def _arch(self, chosen: Mapping[Slot, int]) -> Arch:
        stages = (
            StageChoice(
                one.widths[chosen["width", stage, 0]],
                tuple(
                    place.ops[chosen["op", stage, layer]]
                    for layer, place in enumerate(one.places[: chosen["depth", stage, 0] + 1])
                ),
            )
            for stage, one in enumerate(self.stages)
        )
        return Arch(self.sizes[chosen.get(SIZE, 0)], tuple(stages))

    def to_path(self, arch: Arch) -> Path:
        """The decisions of a point of the space."""
        chosen: dict[Slot, int] = {SIZE: self.sizes.index(arch.size)}
        for stage, (one, choice) in enumerate(zip(self.stages, arch.stages, strict=True)):
            chosen["width", stage, 0] = one.widths.index(choice.width)
            chosen["depth", stage, 0] = len(choice.ops) - 1
            chosen |= {("op", stage, layer): one.places[layer].ops.index(op) for layer, op in enumerate(choice.ops)}
        path: list[Edge] = []
        node = 0
        while edges := self.trellis.edges[node]:
            stop = next((e for e in edges if e.slot[0] == "depth" and chosen[e.slot] == e.option), None)
            path.append(stop or next(e for e in edges if e.slot[0] != "depth" and chosen[e.slot] == e.option))
            node = path[-1].target
        return tuple(path)

    def decode(self, arch: Arch) -> NetSpec:
        """The network of a point; its name is that of the choices."""
        layers = [self.first]
        for one, choice in zip(self.stages, arch.stages, strict=True):
            layers += [place.layer(op, choice.width) for place, op in zip(one.places, choice.ops, strict=False)]
        return NetSpec(arch_name(arch), arch.size, self.stem, tuple(layers), self.head)

    def encode(self, net: NetSpec) -> Arch:
        """The point that a network (of `net.json`, say) is.

        Raises:
            InputError: the network is not in the space.
        """
        path = self._match(0, [part.key for part in net.workloads()])
        if path is None:
            raise InputError(f"net={net.name}: is not in the network space of space.network and this block")
        return self.from_path(path)

    def _match(self, node: int, keys: list[str]) -> Path | None:
        """The way from ``node`` to the end whose parts have these keys."""
        edges = self.trellis.edges[node]
        if not edges:
            return None if keys else ()
        for edge in edges:
            if [part.key for part in edge.parts] == keys[: len(edge.parts)]:
                rest = self._match(edge.target, keys[len(edge.parts) :])
                if rest is not None:
                    return (edge, *rest)
        return None

    # Random points

    def draw(self, rng: random.Random) -> Arch:
        """A point with every decision uniform, so that shallow networks are as frequent as deep ones."""
        stages = []
        for one in self.stages:
            width, depth = rng.choice(one.widths), rng.randint(1, len(one.places))
            stages.append(StageChoice(width, tuple(rng.choice(place.ops) for place in one.places[:depth])))
        return self.canonical(Arch(self._draw_size(rng), tuple(stages)))

    def _draw_size(self, rng: random.Random) -> int:
        """Takes no random number where there is nothing to decide."""
        return rng.choice(self.sizes) if len(self.sizes) > 1 else self.sizes[0]

    def sample(self, rng: random.Random) -> NetSpec:
        """The network of a point drawn with every decision uniform."""
        return self.decode(self.draw(rng))

    def mutate(self, arch: Arch, rng: random.Random, rate: float) -> Arch:
        """``arch`` with every decision drawn anew with probability ``rate``."""
        stages, other = [], self.draw(rng)
        for one, stage, fresh in zip(self.stages, arch.stages, other.stages, strict=True):
            width = fresh.width if rng.random() < rate else stage.width
            depth = len(fresh.ops) if rng.random() < rate else len(stage.ops)
            kept = stage.ops + tuple(rng.choice(place.ops) for place in one.places[len(stage.ops) : depth])
            ops = tuple(
                rng.choice(place.ops) if rng.random() < rate else op
                for place, op in zip(one.places, kept[:depth], strict=False)
            )
            stages.append(StageChoice(width, ops))
        size = other.size if len(self.sizes) > 1 and rng.random() < rate else arch.size
        return self.canonical(Arch(size, tuple(stages)))

    def crossover(self, first: Arch, second: Arch, rng: random.Random) -> Arch:
        """Every decision from one of the two parents."""
        stages = []
        for pair in zip(first.stages, second.stages, strict=True):
            deep = rng.choice(pair)
            ops = tuple(
                rng.choice([s for s in pair if layer < len(s.ops)]).ops[layer] for layer in range(len(deep.ops))
            )
            stages.append(StageChoice(rng.choice(pair).width, ops))
        size = rng.choice((first, second)).size if len(self.sizes) > 1 else first.size
        return self.canonical(Arch(size, tuple(stages)))

    def canonical(self, arch: Arch) -> Arch:
        """The same network with the first of equal ops in every layer."""
        stages, channels = [], self.first.out_channels
        for stage, choice in enumerate(arch.stages):
            ops = []
            for layer, op in enumerate(choice.ops):
                key = self.workload(self.sizes[0], stage, layer, channels, choice.width, op).key
                place = self.stages[stage].places[layer]
                ops.append(place.ops[self.options(stage, layer, channels, choice.width)[key]])
                channels = choice.width
            stages.append(StageChoice(choice.width, tuple(ops)))
        return Arch(arch.size, tuple(stages))


def _greatness(op: Op) -> tuple[float, int, int]:
    """What makes one op a part of another; a squeeze adds the more channels the less it squeezes."""
    return op.expand, op.kernel, -op.squeeze
