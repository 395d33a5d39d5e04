"""The network space: a skeleton of stages, and what may be chosen in them.

Every stage chooses a width and a depth, every layer a kernel, an expansion and a squeeze ratio of the given block. A
skipped layer is one that the stage's depth leaves out: skipping any other layer of the stage gives the same network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from frostnas.artifacts import BlockSpec, HeadSpec, LatencyTable, LayerSpec, NetSpec, StemSpec, Workload, div8
from frostnas.config import NetworkSpaceConfig
from frostnas.errors import InputError
from frostnas.search.spaces.arch import Arch, Op, StageChoice, arch_name
from frostnas.search.spaces.skeleton import check_skeleton
from frostnas.search.spaces.trellis import Edge, Path, Slot, Trellis


class NetworkSpace:
    """Counts, enumerates, samples, varies and encodes networks; knows nothing of training.

    Raises (when built):
        InputError: a key of `space.network` that makes no network.
    """

    def __init__(self, config: NetworkSpaceConfig, block: BlockSpec, image_size: int, classes: int) -> None:
        check_skeleton(config)
        self.config, self.block, self.image_size = config, block, image_size
        self.stem = StemSpec(config.stem_channels, config.stem_stride)
        self.head = HeadSpec(config.head_channels, classes=classes, dropout=config.dropout)
        self.first = LayerSpec(self._with(Op(3, 1, block.squeeze)), config.first_channels, 1)
        kernels = config.kernels if block.spatial.startswith("depthwise_") else [block.kernel]
        squeezes = config.squeezes if block.squeeze else [0]
        self.ops = tuple(dict.fromkeys(Op(k, e, r) for k in kernels for e in config.expands for r in squeezes))
        self.widths = tuple(
            tuple(dict.fromkeys(div8(width * factor) for factor in config.width_factors)) for width in config.widths
        )
        self.trellis = self._build()
        self._ways = self.trellis.ways()

    # The parts

    def _with(self, op: Op) -> BlockSpec:
        """The block with a layer's choices; a slot that the block does not have stays as it is."""
        block = replace(self.block, expand=op.expand)
        if block.spatial.startswith("depthwise_"):
            block = replace(block, spatial=f"depthwise_{op.kernel}")
        return replace(block, reuse=f"squeeze_{op.squeeze}") if block.squeeze else block

    def _size(self, stage: int, layer: int) -> int:
        """Side of a layer's input in pixels."""
        size = -(-self.image_size // self.stem.stride)
        for stride in self.config.strides[: stage + (layer > 0)]:
            size = -(-size // stride)
        return size

    def workload(self, stage: int, layer: int, in_channels: int, width: int, op: Op) -> Workload:
        """One layer of a stage, counted from 0, with its choices."""
        stride = self.config.strides[stage] if layer == 0 else 1
        return Workload(LayerSpec(self._with(op), width, stride), in_channels, self._size(stage, layer))

    def options(self, stage: int, layer: int, in_channels: int, width: int) -> dict[str, int]:
        """Workload key -> index into `ops` of every distinct candidate of a layer.

        Where the channels rule a squeeze out, ops that differ in nothing else are one candidate: the first.
        """
        found: dict[str, int] = {}
        for index, op in enumerate(self.ops):
            found.setdefault(self.workload(stage, layer, in_channels, width, op).key, index)
        return found

    def _build(self) -> Trellis:
        """Nodes: a stage entered with c channels; (stage, layers so far, c, width). Edges: width, op, or the end."""
        stages = len(self.widths)
        names: list[tuple[int, ...]] = [(0, self.first.out_channels)]
        for stage, widths in enumerate(self.widths):
            entering = self.widths[stage - 1] if stage else (self.first.out_channels,)
            names += [(stage, 0, c, w) for c in entering for w in widths]
            names += [(stage, n, w, w) for n in range(1, self.config.depths[stage] + 1) for w in widths]
            if stage + 1 < stages:
                names += [(stage + 1, w) for w in widths]
        names.append((stages,))
        number = {name: index for index, name in enumerate(names)}
        return Trellis(tuple(tuple(self._edges(name, number)) for name in names))

    def _edges(self, name: tuple[int, ...], number: dict[tuple[int, ...], int]) -> Iterator[Edge]:
        match name:
            case (stage, channels):
                parts = self._start() if stage == 0 else ()
                for option, width in enumerate(self.widths[stage]):
                    yield Edge(number[stage, 0, channels, width], ("width", stage, 0), option, parts)
            case (stage, layer, channels, width):
                if layer:
                    last = stage + 1 == len(self.widths)
                    end = (Workload(self.head, width, self._size(stage + 1, 0)),) if last else ()
                    target = number[(stage + 1,) if last else (stage + 1, width)]
                    yield Edge(target, ("depth", stage, 0), layer - 1, end)
                if layer < self.config.depths[stage]:
                    for op in self.options(stage, layer, channels, width).values():
                        part = self.workload(stage, layer, channels, width, self.ops[op])
                        yield Edge(number[stage, layer + 1, width, width], ("op", stage, layer), op, (part,))

    def _start(self) -> tuple[Workload, ...]:
        size = -(-self.image_size // self.stem.stride)
        return Workload(self.stem, 3, self.image_size), Workload(self.first, self.stem.channels, size)

    @property
    def slots(self) -> dict[Slot, int]:
        """Every decision and how many options it has."""
        found: dict[Slot, int] = {}
        for stage, depth in enumerate(self.config.depths):
            found["width", stage, 0] = len(self.widths[stage])
            found |= {("op", stage, layer): len(self.ops) for layer in range(depth)}
            found["depth", stage, 0] = depth
        return found

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

    # Encoding

    def from_path(self, path: Path) -> Arch:
        return self._stages({edge.slot: edge.option for edge in path})

    def from_options(self, chosen: Mapping[Slot, int]) -> Arch:
        """The point that one option per slot gives; ops behind a stage's depth do not count."""
        return self.canonical(self._stages(chosen))

    def _stages(self, chosen: Mapping[Slot, int]) -> Arch:
        return tuple(
            StageChoice(
                self.widths[stage][chosen["width", stage, 0]],
                tuple(self.ops[chosen["op", stage, layer]] for layer in range(chosen["depth", stage, 0] + 1)),
            )
            for stage in range(len(self.widths))
        )

    def to_path(self, arch: Arch) -> Path:
        """The decisions of a point of the space."""
        chosen: dict[Slot, int] = {}
        for stage, choice in enumerate(arch):
            chosen["width", stage, 0] = self.widths[stage].index(choice.width)
            chosen["depth", stage, 0] = len(choice.ops) - 1
            chosen |= {("op", stage, layer): self.ops.index(op) for layer, op in enumerate(choice.ops)}
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
        for stage, choice in enumerate(arch):
            for layer, op in enumerate(choice.ops):
                stride = self.config.strides[stage] if layer == 0 else 1
                layers.append(LayerSpec(self._with(op), choice.width, stride))
        return NetSpec(arch_name(arch), self.image_size, self.stem, tuple(layers), self.head)

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
        return self.canonical(
            tuple(
                StageChoice(rng.choice(widths), tuple(rng.choice(self.ops) for _ in range(rng.randint(1, depth))))
                for widths, depth in zip(self.widths, self.config.depths, strict=True)
            )
        )

    def draw_uniform(self, rng: random.Random) -> Arch:
        """A point, each with the same probability."""
        path: list[Edge] = []
        node = 0
        while edges := self.trellis.edges[node]:
            path.append(rng.choices(edges, [self._ways[edge.target] for edge in edges])[0])
            node = path[-1].target
        return self.from_path(tuple(path))

    def sample(self, rng: random.Random) -> NetSpec:
        """The network of a point drawn with every decision uniform."""
        return self.decode(self.draw(rng))

    def mutate(self, arch: Arch, rng: random.Random, rate: float) -> Arch:
        """``arch`` with every decision drawn anew with probability ``rate``."""
        stages = []
        for stage, fresh in zip(arch, self.draw(rng), strict=True):
            width = fresh.width if rng.random() < rate else stage.width
            depth = len(fresh.ops) if rng.random() < rate else len(stage.ops)
            kept = stage.ops + tuple(rng.choice(self.ops) for _ in range(depth - len(stage.ops)))
            ops = tuple(rng.choice(self.ops) if rng.random() < rate else op for op in kept[:depth])
            stages.append(StageChoice(width, ops))
        return self.canonical(tuple(stages))

    def crossover(self, first: Arch, second: Arch, rng: random.Random) -> Arch:
        """Every decision from one of the two parents."""
        stages = []
        for pair in zip(first, second, strict=True):
            deep = rng.choice(pair)
            ops = tuple(
                rng.choice([s for s in pair if layer < len(s.ops)]).ops[layer] for layer in range(len(deep.ops))
            )
            stages.append(StageChoice(rng.choice(pair).width, ops))
        return self.canonical(tuple(stages))

    def canonical(self, arch: Arch) -> Arch:
        """The same network with the first of equal ops in every layer."""
        stages, channels = [], self.first.out_channels
        for stage, choice in enumerate(arch):
            ops = []
            for layer, op in enumerate(choice.ops):
                key = self.workload(stage, layer, channels, choice.width, op).key
                ops.append(self.ops[self.options(stage, layer, channels, choice.width)[key]])
                channels = choice.width
            stages.append(StageChoice(choice.width, tuple(ops)))
        return tuple(stages)
