"""One command on one run directory: its config, and every input resolved from a path, a name or the run."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from frostnas.artifacts import (
    BlockResult,
    BlockSpec,
    ImageFormat,
    LatencyTable,
    NetResult,
    NetSpec,
    TrainResult,
    load,
    load_table,
    sha256_of,
)
from frostnas.config import Config
from frostnas.data import Splits
from frostnas.data import load as load_data
from frostnas.engine import Workspace, pick_device, seed_all
from frostnas.errors import InputError
from frostnas.nets import NAMED_BLOCKS, Net, Weights, check_block, zoo_names, zoo_spec
from frostnas.nets.weights import identity
from frostnas.pipeline.source import read_start, with_normalisation
from frostnas.pipeline.target import with_integers
from frostnas.pipeline.teacher import load_teacher
from frostnas.pipeline.trained import WEIGHTS, load_net
from frostnas.search.spaces.network import NetworkSpace
from frostnas.training.distill import Teacher
from frostnas.training.mixing import grown_size

if TYPE_CHECKING:
    from frostnas.artifacts import SplitRecord

BLOCK, TABLE, NET, EXPORT = "block.json", "latency.json", "net.json", "export.json"
NET_WEIGHTS = "net.safetensors"
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

    def __init__(self, config: Config, workspace: Workspace) -> None:
        self.table_path = Path(config.table) if config.table else workspace.run_dir / TABLE
        self.config = with_normalisation(with_integers(config, self.table_path))
        self.workspace = workspace
        seed_all(config.seed)

    def path(self, name: str) -> Path:
        """A file of the run directory."""
        return self.workspace.run_dir / name

    @cached_property
    def device(self) -> torch.device:
        return pick_device(self.config.device)

    @cached_property
    def data(self) -> Splits:
        return load_data(self.config.data, self.device)

    def data_like(self, images: ImageFormat) -> Splits:
        """The data normalised as ``images``, those of a finished training, unless `data.mean` says otherwise."""
        given, own = self.config.data, self.data.format
        if given.mean is not None or (own.mean, own.std) == (images.mean, images.std):
            return self.data
        return load_data(replace(given, mean=list(images.mean), std=list(images.std)), self.device)

    @property
    def record(self) -> SplitRecord:
        return self.data.record

    @property
    def block(self) -> BlockSpec:
        """`block=`: a block.json, a named block, else the run's own block.json, else the Frost bottleneck."""
        given = self.config.block
        if given is None and not self.path(BLOCK).exists():
            return NAMED_BLOCKS["frost"]
        if given is None or given.endswith(".json"):
            return load_block(Path(given) if given else self.path(BLOCK))
        if given not in NAMED_BLOCKS:
            raise InputError(f"block={given}: expected a block.json or one of {', '.join(NAMED_BLOCKS)}")
        return NAMED_BLOCKS[given]

    @property
    def space(self) -> NetworkSpace:
        """The network space for this block, image size and number of classes."""
        images = self.data.format
        return NetworkSpace(self.config.space.network, self.block, images.image_size, len(images.classes))

    @property
    def table(self) -> LatencyTable:
        """`table=`: a latency.json with its latency.csv beside it, else the run's own."""
        return load_table(self.table_path)

    @property
    def net(self) -> NetSpec:
        """`net=`: a net.json, a zoo name, else the run's own net.json; at the data's image size and classes."""
        images = self.data.format
        given = self.config.net
        if self._net_json is not None:
            spec = load(self._net_json, NetResult).value.net
        elif given in zoo_names():
            spec = zoo_spec(given, len(images.classes), images.image_size)
        else:
            raise InputError(f"net={given}: expected a net.json or a name that `frostnas zoo` lists")
        spec = spec.with_classes(len(images.classes)).at_size(images.image_size)
        return self._weights.adapted(spec) if self._weights else spec

    @cached_property
    def _weights(self) -> Weights | None:
        return read_start(self.config)

    @property
    def _net_json(self) -> Path | None:
        given = self.config.net
        if given is None:
            return self.path(NET)
        return Path(given) if given.endswith(".json") else None

    @cached_property
    def start(self) -> Start | None:
        """`train.weights`, else what the search trained of the network, if `train.inherit` wants it and there is any.

        Raises:
            InputError: there is no such file, or one beside net.json that it does not speak of.
        """
        train = self.config.train
        if train.weights is not None:
            return Start(train.weights, identity(train.weights, "train.weights"), "train.weights")
        if not train.inherit or self._net_json is None:
            return None
        digest = load(self._net_json, NetResult).value.weights_sha256
        if digest is None:
            return None
        path = self._net_json.with_name(NET_WEIGHTS)
        if not path.is_file() or sha256_of(path) != digest:
            what = "is not that of its net.json" if path.is_file() else "no such file, of which net.json speaks"
            raise InputError(f"{path}: {what}; copy both together, or give train.inherit=false")
        return Start(str(path), digest, NET_WEIGHTS)

    @cached_property
    def teacher(self) -> Teacher | None:
        """`train.distill`: the network that teaches, in floating point.

        Raises:
            InputError: it cannot be had, or not for these images.
        """
        train, size = self.config.train, self.data.format.image_size
        sizes = {size, grown_size(size, train.resize_from, 0.0)}
        teacher = load_teacher(train.distill, self.data.format, sizes)
        return teacher and teacher.to(self.device).to(memory_format=torch.channels_last)

    def trained_net(self, trained: TrainResult) -> Net:
        """The run's trained network, evaluating as it is exported."""
        return load_net(self.path(WEIGHTS), trained).to(self.device)


def load_block(path: Path) -> BlockSpec:
    """The block that a block.json found.

    Raises:
        InputError: the file does not fit, or a slot holds an operation that is not registered.
    """
    block = load(path, BlockResult).value.block
    try:
        check_block(block)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return block
