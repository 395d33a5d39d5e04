"""From Hydra's groups and overrides to one checked `Config`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from frostnas.config.data import DataConfig, check_data
from frostnas.config.fields import check
from frostnas.config.groups import CONFIG_NAME, conf_dir
from frostnas.config.limits import bytes_of_limit, time_limit_s
from frostnas.config.schema import Config
from frostnas.config.space import FOLLOWING, NetworkSpaceConfig
from frostnas.config.stages import ClassWeights, Sampler, TargetName
from frostnas.config.words import for_hydra
from frostnas.config.yaml_files import UserFiles, check_yaml
from frostnas.errors import InputError
from frostnas.readable import is_utf8

HOW_TO_QUOTE = """Hydra cannot read the value; put text in quotes inside the shell's, as in "KEY='a, b [c]'\""""
AMBIGUOUS = "Ambiguous value for argument"

POSSIBLE = {
    "data.image_size": "expected one number, 8 to 1024: a network sees the central square of a picture of any shape"
}
"""What to say of a value of the wrong type where its type alone does not say what is possible."""
ConfigStore.instance().store(name="schema", node=Config)


class UserGroups(SearchPathPlugin):
    """Hydra's hook to put a user's folder of groups in front of ours."""

    folder: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if self.folder is not None:
            search_path.prepend("user", f"{UserFiles.scheme()}://{self.folder}")


Plugins.instance().register(UserGroups)


def add_groups(config_dir: Path | None) -> None:
    """Look for groups in ``config_dir`` first, from now on; None for in ours only.

    Raises:
        InputError: ``config_dir`` is not a folder.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise InputError(f"--config-dir {config_dir}: no such folder")
    UserGroups.folder = config_dir and config_dir.resolve()


def compose_config(overrides: Sequence[str] = (), config_dir: Path | None = None) -> Config:
    """Compose ``conf/`` with Hydra overrides (KEY=VALUE, GROUP=CHOICE) and check every value.

    Raises:
        InputError: an unknown key or choice, a value of the wrong type or out of range.
    """
    return _composed(for_hydra(overrides), overrides, config_dir)


def _composed(words: Sequence[str], typed_in: Sequence[str], config_dir: Path | None) -> Config:
    add_groups(config_dir)
    try:
        _parsed(words, typed_in)
        return typed(_by_hydra(words))
    except InputError:
        raise
    except Exception as error:  # all that is read here is the user's, and Hydra raises whatever it stumbles over
        raise InputError(_one_line(error, typed_in)) from None


def chosen(group: str, overrides: Sequence[str], config_dir: Path | None = None) -> str:
    """What a group of overrides that `compose_config` takes comes to: its choice in words, else in experiments."""
    add_groups(config_dir)
    return str(_by_hydra(for_hydra(overrides), of_hydra=True).hydra.runtime.choices[group])


def _by_hydra(words: Sequence[str], *, of_hydra: bool = False) -> DictConfig:
    """What Hydra makes of overrides. Args: of_hydra: with Hydra's own group."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        return compose(config_name=CONFIG_NAME, overrides=list(words), return_hydra_config=of_hydra)


def _parsed(words: Sequence[str], typed_in: Sequence[str]) -> list[Override]:
    """Overrides by Hydra's grammar, each named as it was typed if it cannot be read."""
    parser, found = OverridesParser.create(), []
    for word, original in zip(words, typed_in, strict=True):
        key = word.partition("=")[0].lstrip("+~")
        try:
            found.append(parser.parse_override(word))
        except HydraException:
            if "=" in word and _unknown(key):
                raise InputError(f"{original}: no such key{_suggestion(key)}") from None
            raise InputError(f"{original}: {HOW_TO_QUOTE}") from None
        if word.startswith("+") and _unknown(key):
            raise InputError(f"{original}: no such key{_suggestion(key)}")
    return found


def check_sweep(overrides: Sequence[str], config_dir: Path | None = None) -> list[str]:
    """The overrides of a sweep for Hydra; every value is checked once, before the first job starts.

    Raises:
        InputError: as `compose_config`.
    """
    words = for_hydra(overrides, sweep=True)
    parsed = _parsed(words, overrides)
    fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
    _composed(fixed, fixed, config_dir)
    for swept in parsed:
        if swept.is_discrete_sweep():
            for value in swept.sweep_string_iterator():
                jobs = [*fixed, f"{swept.get_key_element()}={value}"]
                _composed(jobs, jobs, config_dir)
    return words


def typed(composed: DictConfig) -> Config:
    """A composed config as dataclasses, checked.

    Raises:
        InputError: a value of the wrong type or out of range.
    """
    try:
        config = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:
        raise InputError(_one_line(error, ())) from None
    assert isinstance(config, Config)
    check(config)
    check_data(config.data)
    if not config.run_dir.strip():
        raise InputError(f"run_dir={config.run_dir}: expected a folder")
    if config.host and config.latency.target.name is not TargetName.ssh:
        raise InputError(f"host={config.host}: expected latency/target=ssh with it")
    _check_fit(config.space.network)
    _check_text(to_plain(config))
    train = config.train
    for key, distill in (("train.distill", train.distill), ("search_net.distill", config.search_net.distill)):
        if distill.weights and not distill.teacher:
            raise InputError(f"{key}.weights={distill.weights}: expected {key}.teacher=NAME with it")
    if train.max_ptq_loss is not None and not train.head_epochs + train.float_epochs and train.epochs:
        raise InputError(
            f"train.max_ptq_loss={train.max_ptq_loss}: expected null without train.float_epochs; there is nothing "
            "trained in floating point to quantize first"
        )
    for key, sizes in (
        ("train.sizes", train.sizes),
        ("ladder.sizes", config.ladder.sizes),
        ("space.resolutions", config.space.resolutions),
    ):
        if any(not 8 <= size <= 1024 for size in sizes) or len(set(sizes)) < len(sizes):
            raise InputError(f"{key}={sizes}: expected different sides of 8 to 1024 pixels")
    if not config.ladder.sizes:
        raise InputError("ladder.sizes=[]: expected at least one side, pixels")
    if train.sampler is Sampler.balanced and train.class_weights is ClassWeights.balanced:
        raise InputError(
            "train.class_weights=balanced: expected train.sampler=shuffled with it; or small classes count twice"
        )
    if 0 < train.epochs <= train.frozen_epochs:
        raise InputError(
            f"train.frozen_epochs={train.frozen_epochs}: expected fewer than train.epochs={train.epochs}; ranges and "
            "batch norm must move in quantized training before they are fixed"
        )
    for key in ("search_block", "search_net", "train"):
        group = getattr(config, key)
        if 2 * group.micro_batches > group.batch_size:
            raise InputError(
                f"{key}.micro_batches={group.micro_batches}: expected at most half of "
                f"{key}.batch_size={group.batch_size}; batch norm needs two images"
            )
    time_limit_s(config.time_limit)
    bytes_of_limit("memory_limit", config.memory_limit, None)
    return config


def _check_fit(network: NetworkSpaceConfig) -> None:
    """A skeleton that follows from the images takes none that is given."""
    for name in FOLLOWING if network.fit else ():
        if (value := getattr(network, name)) != getattr(NetworkSpaceConfig(), name):
            raise InputError(f"space.network.{name}={value}: expected space.network.fit=false with it")


def _check_text(value: Any, key: str = "") -> None:
    """Text must be fit to be stored, and must not read as an interpolation when it is read again."""
    if isinstance(value, str) and ("${" in value or not is_utf8(value)):
        raise InputError(f"{key}={value}: expected a name in UTF-8 without ${{")
    for name, item in value.items() if isinstance(value, dict) else ():
        _check_text(item, f"{key}.{name}" if key else str(name))


C = TypeVar("C")


def read_stored(path: Path, schema: type[C], group: str | None = None) -> C:
    """A config, or one group of it, that `to_yaml` wrote.

    Raises:
        InputError: it cannot be read, or has a value of the wrong type or out of range.
    """
    check_yaml(path)
    try:
        stored: Any = OmegaConf.load(path)
        merged = OmegaConf.merge(OmegaConf.structured(schema), stored[group] if group else stored)
        config: Any = OmegaConf.to_object(merged)
    except (YAMLError, OmegaConfBaseException, OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: is not a config that frostnas wrote ({str(error).splitlines()[0]})") from None
    check(config, f"{group}." if group else "")
    check_data(config if isinstance(config, DataConfig) else getattr(config, "data", DataConfig()))
    return config  # type: ignore[no-any-return]


def to_yaml(config: Config) -> str:
    """The resolved config as YAML, which `--cfg` prints and the run directory keeps."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def to_plain(config: Any) -> Any:
    """A config dataclass, or a part of one, as plain dicts and lists with enums by name."""
    return OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True)


def _one_line(error: Exception, overrides: Sequence[str]) -> str:
    """The cause in one line: the key, its value, what is accepted."""
    cause: BaseException = error
    while cause.__cause__ is not None and isinstance(cause.__cause__, HydraException | OmegaConfBaseException):
        cause = cause.__cause__
    key = getattr(cause, "full_key", None)
    given = next((item for item in overrides if key and item.lstrip("+~").startswith(f"{key}=")), None)
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = lines[0] if lines else type(cause).__name__
    if isinstance(error, HydraException) and key and "not in" in text:
        return f"{given or key}: no such key{_suggestion(str(key))}"
    if AMBIGUOUS in text:
        word = next((item for item in overrides if f"'{item}'" in text), None)
        return f"{word or text}: several values; expected one, or -m (--multirun) for a run with each"
    if "Available options" in str(error):
        missing, _, rest = str(error).partition("Available options")
        options = re.findall(r"^\t(\S+)$", rest, re.MULTILINE)
        return f"{re.sub(r'^In .*?: ', '', missing).strip()}; expected one of {', '.join(options)}"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        text = f"{', '.join(overrides)}: {text}" if overrides else f"{type(cause).__name__}: {text}"
    return f"{given or key}: {POSSIBLE.get(str(key), text)}" if key else text


def _unknown(key: str) -> bool:
    """Whether a key is neither of the config, nor a group, nor Hydra's own."""
    node: Any = Config()
    for part in key.split("."):
        if not hasattr(node, part):
            return not (key.startswith("hydra") or (conf_dir() / key.partition("@")[0]).is_dir())
        node = getattr(node, part)
    return False


def _suggestion(key: str) -> str:
    parent, _, name = key.rpartition(".")
    node: Any = Config()
    for part in parent.split(".") if parent else []:
        node = getattr(node, part, None)
    if not is_dataclass(node):
        return ""
    names = [item.name for item in fields(node)]
    close = difflib.get_close_matches(name, names, n=1)
    prefix = f"{parent}." if parent else ""
    return f"; did you mean {prefix}{close[0]}?" if close else f"; expected one of {', '.join(names)}"
