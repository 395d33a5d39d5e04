"""From the words of the command line to a result on the screen and an exit status."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frostnas.cli.failure import leave
from frostnas.errors import InputError
from frostnas.readable import ReadableFormatter, encodable

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from frostnas.cli.outcome import Outcome
    from frostnas.config import Config

PROFILE = "profile-latency"
SHARED = ("search-net", "train")  # commands whose work several processes can do together


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's own switches; everything else is config."""

    cfg: bool = False
    json: bool = False
    quiet: bool = False
    force: bool = False
    multirun: bool = False
    config_dir: str | None = None
    out: str | None = None
    """`profile-latency`: the bundle to write; `evaluate`, `report`: the folder for their files."""
    plan: bool = False
    """Say what would be done, and do nothing."""


Work = Callable[["Config", Sequence[str], Sequence[Path]], "Outcome"]
"""Of the config, the overrides that it was composed of, and the paths beside them."""


def execute(command: str, words: Sequence[str], options: Options) -> None:
    """Run one command; on failure leave the process with one line and its exit status."""
    logging.raiseExceptions = False  # a log that cannot be written is no reason to fail
    if logging.lastResort is not None:  # what is logged outside a run directory
        logging.lastResort.setFormatter(ReadableFormatter("frostnas: %(message)s"))
    try:
        _check_processes(command)
        if command == "predict":  # it has no config, and needs no library that reads one
            _predict(words, options)
        else:
            (_sweep if options.multirun else _once)(command, words, options)
    except (Exception, KeyboardInterrupt) as error:
        leave(error)


def _working() -> None:
    """From here on an interrupt lets the work put its things in order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _check_processes(command: str) -> None:
    """Refuse several processes of torchrun where each would do all of the work, in one run directory."""
    if _of_torchrun("WORLD_SIZE", "1") != "1" and command not in SHARED:
        raise InputError(f"{command}: works in one process; expected torchrun with {' or '.join(SHARED)} alone")


def _of_torchrun(name: str, default: str) -> str:
    """A variable that torchrun gives its processes; others may set one of that name, too."""
    return os.environ.get(name, default) if "TORCHELASTIC_RUN_ID" in os.environ else default


def _predict(words: Sequence[str], options: Options) -> None:
    from frostnas.cli.predict import predict

    _working()
    _show(predict(Path(words[0]).expanduser(), words[1:]), options)


def _once(command: str, words: Sequence[str], options: Options) -> None:
    from frostnas.config.compose import compose_config, to_yaml

    overrides, paths = _split(command, words)
    path, config_dir = _first(paths), Path(options.config_dir) if options.config_dir else None
    config = compose_config(overrides, config_dir)
    if config.train.weights is not None and config.net is not None:
        from frostnas.cli.recipe import with_recipe

        config = with_recipe(config, overrides, config_dir)
    if command == PROFILE and (options.out or path):
        from frostnas.cli.bundle import on_its_way

        config = on_its_way(config, overrides, options.out, path)
    config = _of_run(command, config, overrides, path, bundled=options.out is not None)
    if options.cfg:
        print(to_yaml(config), end="")
    else:
        work = _work(command, options)
        _working()
        _show(work(config, overrides, paths), options)


def _of_run(
    command: str, config: Config, overrides: Sequence[str], path: Path | None, *, bundled: bool = False
) -> Config:
    """With the data and the board of the run that the command works on, where the command line names no others."""
    from frostnas.cli.of_run import run_of, with_board_of_run, with_data_of_run

    imports = command == PROFILE and path is not None  # which takes all from the bundle
    if imports or command in ("zoo", "report", "status"):
        return config
    folder = run_of(config, path)
    if command != "evaluate" and not bundled:  # it measures where it runs, on the board itself too
        config = with_board_of_run(config, overrides, folder)
    return with_data_of_run(config, overrides, folder)


def _split(command: str, words: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Overrides, and the paths of `report PATH...`, `evaluate PATH`, `status PATH` or `profile-latency import PATH`.

    What lies on the disk is a path, whatever signs are in its name.
    """
    imports = command == PROFILE and "import" in words
    if imports:
        words = [word for word in words if word != "import"]
    wanted = imports or command in ("evaluate", "report", "status")
    paths = [word for word in words if (wanted and _exists(word)) or not ("=" in word or word.startswith("~"))]
    if imports and not paths:
        raise InputError("import: expected the results.json that a bundle's agent wrote")
    if len(paths) > wanted and command != "report":
        raise InputError(f"{paths[-1]}: expected KEY=VALUE")
    return [word for word in words if word not in paths], [Path(path).expanduser() for path in paths]


def _exists(word: str) -> bool:
    try:
        return Path(word).expanduser().exists()
    except (OSError, RuntimeError):  # a name longer than the system's, or no such user
        return False


def _work(command: str, options: Options) -> Work:
    """What a command does; each branch imports what it needs, and no more."""
    if options.plan:
        from frostnas.cli.run import show_plan

        return lambda config, *_: show_plan(command, config, _console(options))
    match command:
        case "zoo":
            from frostnas.cli.zoo import zoo

            return lambda config, overrides, _: zoo(config, overrides)
        case "evaluate":
            from frostnas.cli.evaluate import evaluate

            return lambda config, overrides, paths: evaluate(config, overrides, _first(paths), _folder(options))
        case "report":
            from frostnas.cli.report import report

            return lambda config, _, paths: report(config, paths, _folder(options))
        case "status":
            from frostnas.cli.status import status

            return lambda config, _, paths: status(config, _first(paths))
        case "doctor":
            from frostnas.cli.doctor import doctor

            return lambda config, *_: doctor(config)
        case "run":
            from frostnas.cli.run import chain

            return lambda config, _, __: chain(config, _console(options), options.quiet, options.force)
        case _:
            from frostnas.cli.run import stage

            return lambda config, _, __: stage(command, config, _console(options), options.quiet, options.force)


def _first(paths: Sequence[Path]) -> Path | None:
    return paths[0] if paths else None


def _folder(options: Options) -> Path | None:
    return Path(options.out).expanduser() if options.out else None


def _console(options: Options) -> Console:
    """Where progress and log lines go: stdout is the result's alone if that is for machines."""
    from rich.console import Console

    return Console(stderr=options.json)


def _show(outcome: Outcome, options: Options) -> None:
    """The result first, then what is left to do of it: a folder that takes no file costs nobody an hour's numbers.

    Of several processes the first speaks for all.
    """
    if _of_torchrun("RANK", "0") != "0":
        return
    try:
        if options.json:
            print(_json(outcome.data))
        else:
            _console(options).print(outcome.view)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if outcome.finish is not None:
        outcome.finish()


def _json(data: object) -> str:
    """One line of JSON that standard output can hold."""
    import msgspec

    text = msgspec.json.encode(encodable(msgspec.to_builtins(data))).decode()
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        return json.dumps(json.loads(text))
    return re.sub("[\x7f-\x9f]", lambda one: f"\\u{ord(one[0]):04x}", text)  # JSON lets them pass, terminals obey


def _sweep(command: str, words: Sequence[str], options: Options) -> None:
    """Hand the command to Hydra's sweeper and launcher; each job has a run directory of its own."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from frostnas.config.compose import check_sweep, typed
    from frostnas.config.groups import CONFIG_NAME, conf_dir

    overrides, paths = _split(command, words)
    if options.out or paths:
        raise InputError(f"--multirun: expected neither {'--out' if options.out else paths[0]} with it")
    swept = check_sweep(overrides, Path(options.config_dir) if options.config_dir else None)

    work = _work(command, options)
    _working()

    def task(composed: DictConfig) -> None:
        config = typed(composed)
        config.run_dir = HydraConfig.get().runtime.output_dir
        given = list(HydraConfig.get().overrides.task)
        _show(work(_of_run(command, config, given, None), given, []), options)

    sys.argv = [f"frostnas {command}", "--multirun", *swept]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # a job's exception reaches us as it is
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(task)()
