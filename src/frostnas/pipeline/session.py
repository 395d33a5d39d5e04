"""One command on one run directory: its config, and every input resolved from a path, a name or the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from frostnas.artifacts import (
    EARLY,
    Artifact,
    BlockResult,
    BlockSpec,
    ExportReport,
    ImageFormat,
    LatencyTable,
    NetResult,
    NetSpec,
    Provenance,
    TrainResult,
    load,
    load_table,
    sha256_of,
)
from frostnas.config import Config
from frostnas.config.limits import bytes_of_limit
from frostnas.data import Splits
from frostnas.data import load as load_data
from frostnas.data.comparison import other_images
from frostnas.deploy.live import Live
from frostnas.engine import Workspace, pick_device, seed_all
from frostnas.engine.distill import Lesson, Remembering, Teacher, repeats_pixels
from frostnas.engine.memory import free_bytes
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS, Net, Weights, check_block, zoo_names, zoo_spec
from frostnas.nets.weights import identity
from frostnas.pipeline.parent import Parent, read_parent, taught_by_parent
from frostnas.pipeline.sizes import BLOCK, NET, TABLE, with_sizes
from frostnas.pipeline.source import read_start, with_normalisation
from frostnas.pipeline.target import with_integers
from frostnas.pipeline.teacher import load_teacher, speaking_of, teacher_side
from frostnas.pipeline.trained import TRAIN, WEIGHTS, load_net
from frostnas.search.spaces.elastic import of_parent
from frostnas.search.spaces.fit import fitted, fitted_proxy
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

T = TypeVar("T", bound=Artifact)
EXPORT = "export.json"
NET_WEIGHTS = "net.safetensors"
"""In the run directory: the run of the first network that a time limit leaves something of."""
ROWS, PARETO = "latency.csv", "pareto.csv"


class Start(NamedTuple):
    """Weights that a training starts from."""

    given: str
    """A path, or a library's model."""
    sha256: str
    name: str
    """The key that gave them, or the name of the file beside net.json."""


class Session:
    """What the stages of one command share; inputs are loaded once, on first use."""

    def __init__(
        self, config: Config, workspace: Workspace, net: NetSpec | None = None, block: BlockSpec | None = None
    ) -> None:
        """Args: net, block: the network and the block, where they are not what `net=` and `block=` say."""
        self.table_path = Path(config.table) if config.table else workspace.run_dir / TABLE
        self.given = config
        config = config if net is not None else taught_by_parent(config, workspace.run_dir)
        config = with_sizes(config, workspace.run_dir)
        config = _streaming(_fitted(config))
        self.config = with_normalisation(with_integers(config, self.table_path))
        self.workspace = workspace
        self._net = net
        self._block = block
        self._said_threads = False
        seed_all(config.seed)

    def below(self, folder: str, config: Config, net: NetSpec | None = None) -> Session:
        """Of a run of its own in a folder of the run directory; images of the same `data` are not read again."""
        path = self.path(folder)
        made = Session(replace(config, run_dir=str(path)), replace(self.workspace, run_dir=path), net)
        if "data" in self.__dict__ and made.config.data == self.config.data:
            made.data = self.data
        return made

    def path(self, name: str) -> Path:
        """A file of the run directory."""
        return self.workspace.run_dir / name

    @cached_property
    def device(self) -> torch.device:
        return pick_device(self.config.device)

    @cached_property
    def data(self) -> Splits:
        data = load_data(self.config.data, self.device)
        for note in data.notes:
            self.workspace.say(f"data: {note}")
        return data

    def data_like(self, images: ImageFormat) -> Splits:
        """The data as large as ``images``, those of a finished training, and normalised so too, unless `data.mean` says
        otherwise."""
        given, own = self.config.data, self.data.format
        if given.mean is not None or (own.mean, own.std) == (images.mean, images.std):
            return self._kept_at(0, images.image_size)
        wanted = replace(given, mean=list(images.mean), std=list(images.std), image_size=images.image_size)
        return load_data(wanted, self.device)

    @cached_property
    def block(self) -> BlockSpec:
        """`block=`: a block.json, a named block, else the run's own block.json, else the Frost bottleneck."""
        given = self.config.block
        if self._block is not None:
            check_block(self._block)
            return self._block
        if given is None and not self.path(BLOCK).exists():
            return NAMED_BLOCKS["frost"]
        if given is None:
            return _checked(self._own(BLOCK, BlockResult).block, self.path(BLOCK))
        if given.endswith(".json"):
            return _checked(load(given, BlockResult).value.block, Path(given))
        if given not in NAMED_BLOCKS:
            raise InputError(f"block={given}: expected a block.json or one of {', '.join(NAMED_BLOCKS)}")
        return NAMED_BLOCKS[given]

    @cached_property
    def parent(self) -> Parent | None:
        """`parent.net`: the trained network that the space is cut out of; None for a space from scratch."""
        return read_parent(self.config.parent)

    @property
    def parent_size(self) -> int:
        """Of the images that the parent is trained on and teaches with, pixels."""
        given = self.config.parent
        own = self.parent.image_size if self.parent is not None and not given.epochs else None
        return given.image_size or own or self.config.data.side

    @cached_property
    def space(self) -> NetworkSpace:
        """The network space for these classes and sizes of images: of the parent, or for the block from scratch."""
        images = self.data.format
        return self.space_at(self.sizes, len(images.classes), self.block if self.parent is None else None)

    @property
    def sizes(self) -> list[int]:
        """Of the images that a network may choose, pixels."""
        return self.config.space.resolutions or [self.config.data.side]

    def space_at(self, sizes: Sequence[int], classes: int, block: BlockSpec | None) -> NetworkSpace:
        """The network space for images of other sizes. Args: block: of networks from scratch."""
        if self.parent is not None:
            return NetworkSpace(of_parent(self.parent.spec.with_classes(classes), self.config.parent, sizes))
        assert block is not None
        return NetworkSpace(from_scratch(self.config.space.network, block, sizes, classes))

    @cached_property
    def table(self) -> LatencyTable:
        """`table=`: a latency.json with its latency.csv beside it, else the run's own."""
        return load_table(self.table_path)

    @cached_property
    def net(self) -> NetSpec:
        """`net=`: a net.json or its folder, a zoo name, else the run's own net.json; for the data's size and classes.

        With `space.resolutions` a net.json keeps the size that was chosen for it.
        """
        images = self.data.format
        given = self.config.net
        if self._net is not None:
            return self._net.with_classes(len(images.classes)).at_size(images.image_size)
        size = images.image_size
        if self._net_result is not None:
            spec = self._net_result.net.with_classes(len(images.classes))
            spec = spec if self.config.space.resolutions else spec.at_size(size)
        elif given in zoo_names():
            spec = zoo_spec(given, len(images.classes), size)
        else:
            raise InputError(f"net={given}: expected a net.json, its folder or a zoo name")
        return self._weights.adapted(spec) if self._weights else spec

    @cached_property
    def _weights(self) -> Weights | None:
        return read_start(self.config)

    @property
    def _net_json(self) -> Path | None:
        given = self.config.net
        if given is None:
            return self.path(NET)
        if given.endswith(".json"):
            return Path(given)
        return path if given not in zoo_names() and (path := Path(given) / NET).is_file() else None

    @cached_property
    def _net_result(self) -> NetResult | None:
        """What the net.json holds; the run's own one is of the run's images."""
        if self.config.net is None:
            return self._own(NET, NetResult)
        return load(self._net_json, NetResult).value if self._net_json is not None else None

    @property
    def trained_in(self) -> Path:
        """Where the training lies that is exported: the run's own, unless its first network is the better one.

        Better is what has the higher fake-quant top-1 on the validation images, within the budget of the search.
        """
        run, first = self.workspace.run_dir, self.path(EARLY)
        if not all(path.is_file() for path in (run / TRAIN, run / NET, first / TRAIN, first / EXPORT)):
            return run
        if load(first / EXPORT, ExportReport).value.int8.latency_ms_p50 > load(run / NET, NetResult).value.budget_ms:
            return run
        found, early = (load(folder / TRAIN, TrainResult).value.fake_quant.val for folder in (run, first))
        return first if early > found else run

    @cached_property
    def trained(self) -> TrainResult:
        """The run's finished training."""
        return self._own(str(self.trained_in.relative_to(self.workspace.run_dir) / TRAIN), TrainResult)

    def _own(self, name: str, kind: type[T]) -> T:
        """A result of the run itself, which later stages go on from with the same images.

        Raises:
            InputError: there is none, or it was made from other images than those of now.
        """
        path = self.path(name)
        stored = load(path, kind)
        images = self.data.format
        if self.config.data.mean is None and (made := stored.provenance.images) is not None:
            images = replace(images, mean=made.mean, std=made.std)  # the run's weights may have chosen them
        now = Provenance(split=self.data.record, images=images)
        if other := other_images(stored.provenance, now):
            raise InputError(f"{path}: was made with other {other[0]}; it is kept: use another run_dir= for these")
        self.look_at_threads(str(path), stored.provenance)
        return stored.value

    def look_at_threads(self, what: str, made: Provenance) -> None:
        """Say, once, that a run goes on with another number of threads than it has begun with."""
        now = torch.get_num_threads()
        if made.threads not in (None, now) and not self._said_threads:
            self._said_threads = True
            self.workspace.say(
                f"warning: {what} was made on {made.threads} thread(s), and the run goes on with {now}, which round "
                "otherwise: results will be as good, but not the same to the byte"
            )

    @cached_property
    def start(self) -> Start | None:
        """`train.weights`, else what the search trained of the network, if `train.inherit` wants it and there is any.

        Raises:
            InputError: there is no such file, or one beside net.json that it does not speak of.
        """
        train = self.config.train
        if train.weights is not None:
            return Start(train.weights, identity(train.weights, "train.weights"), "train.weights")
        if not train.inherit or self._net is not None or self._net_json is None or self._net_result is None:
            return None
        digest = self._net_result.weights_sha256
        if digest is None:
            return None
        path = self._net_json.with_name(NET_WEIGHTS)
        if not path.is_file() or sha256_of(path) != digest:
            what = "is not that of its net.json" if path.is_file() else "no such file, of which net.json speaks"
            raise InputError(f"{path}: {what}; copy both together, or give train.inherit=false")
        return Start(str(path), digest, NET_WEIGHTS)

    @cached_property
    def data_to_train(self) -> Splits:
        """The data at the network's size, with training pictures as large as `train.sizes` and the teacher of
        `train.distill` want them."""
        train = self.config.train
        with speaking_of("train.distill"):
            return self._kept_at(max([teacher_side(train.distill), *train.sizes]), self.net.image_size)

    def data_like_trained(self, spec: NetSpec) -> Splits:
        """`data_to_train` for a network that is not the run's yet, without a teacher's larger pictures."""
        return self._kept_at(max([0, *self.config.train.sizes]), spec.image_size)

    @cached_property
    def data_to_search(self) -> Splits:
        """The data, with training pictures as large as the teacher of `search_net.distill` or the parent wants them."""
        config = self.config
        with speaking_of("search_net.distill"):
            side = teacher_side(config.search_net.distill)
        if config.parent.teaches and self.parent is not None:
            side = max(side, self.parent_size)
        return self._kept_at(side, config.data.side)

    @cached_property
    def data_of_parent(self) -> Splits:
        """The data at the parent's size."""
        return self._kept_at(0, self.parent_size)

    def _kept_at(self, side: int, size: int) -> Splits:
        """The data for images of ``size`` pixels, with training pictures of at least ``side``."""
        config = replace(self.config.data, image_size=size)
        if config.train_size is None and side > size:
            config = replace(config, train_size=side)
        return self.data if config == self.config.data else load_data(config, self.device)

    @cached_property
    def teacher(self) -> nn.Module | None:
        """`train.distill`: the network that teaches, in floating point.

        Raises:
            InputError: it cannot be had, or not for these images.
        """
        train = self.config.train
        with speaking_of("train.distill"):
            return self.ready(load_teacher(train.distill, self.data.format), mixed=bool(train.mixup or train.cutmix))

    @cached_property
    def lesson(self) -> Lesson | None:
        """`search_net.distill`: what the supernet learns besides the labels.

        Raises:
            InputError: the teacher cannot be had, or not for these images.
        """
        distill = self.config.search_net.distill
        with speaking_of("search_net.distill"):
            teacher = self.ready(load_teacher(distill, self.data.format))
        return Lesson(teacher, distill) if teacher is not None else None

    def ready(self, teacher: Teacher | None, *, mixed: bool = False) -> nn.Module | None:
        """On the device; asked once for each image where the same pixels come again.

        Args:
            mixed: it sees blends of several images.
        """
        if teacher is None:
            return None
        if self.device.type == "cpu" and isinstance(teacher.net, Net):
            teacher.net = Live(teacher.net)
        teacher = teacher.to(self.device).to(memory_format=torch.channels_last)
        return Remembering(teacher) if repeats_pixels(self.config.data.augment, mixed) else teacher

    def trained_net(self) -> Net:
        """The run's trained network, evaluating as it is exported."""
        return load_net(self.trained_in / WEIGHTS, self.trained).to(self.device)


def _fitted(config: Config) -> Config:
    """With the network space, and the proxy network of the block search, that `space.network.fit` asks for."""
    if not config.space.network.fit:
        return config
    size, search = config.data.side, config.search_block
    network = fitted(config.space.network, size)
    search = replace(search, proxy=fitted_proxy(search.proxy, size))
    return replace(config, space=replace(config.space, network=network), search_block=search)


def _streaming(config: Config) -> Config:
    """With images in memory up to half of `memory_limit`; a data set that is larger is streamed."""
    device = pick_device(config.device)
    limit = bytes_of_limit("memory_limit", config.memory_limit, free_bytes(device))
    if limit is None or config.data.in_memory_mb <= (most := limit // 2**21):
        return config
    return replace(config, data=replace(config.data, in_memory_mb=most))


def _checked(block: BlockSpec, path: Path) -> BlockSpec:
    """The block, unless a slot of it holds an operation that is not registered: then InputError names its file."""
    try:
        check_block(block)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return block
