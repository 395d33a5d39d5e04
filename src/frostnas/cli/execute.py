"""From the words of the command line to a result on the screen and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frostnas.errors import InputError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.console import Console

    from frostnas.cli.outcome import Outcome
    from frostnas.config import Config

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
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
    """`profile-latency`: the bundle to write."""


def execute(command: str, words: Sequence[str], options: Options) -> None:
    """Run one command; on failure leave the process with one line and its exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _check_processes(command)
        if command == "predict":  # it has no config, and needs no library that reads one
            _predict(words, options)
        else:
            (_sweep if options.multirun else _once)(command, words, options)
    except InputError as error:
        _leave(f"error: {error}", WRONG_INPUT)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on from here", INTERRUPTED)
    except (RuntimeError, OSError, ArithmeticError) as error:
        _leave(f"failed: {type(error).__name__}: {error}", FAILED)


def _check_processes(command: str) -> None:
    """Refuse several processes of torchrun where each would do all of the work, in one run directory."""
    several = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if several and command not in SHARED:
        raise InputError(f"{command}: works in one process; expected torchrun with {' or '.join(SHARED)} alone")


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _leave(message: str, status: int) -> None:
    print(f"frostnas: {message}", file=sys.stderr)
    sys.exit(status)


def _predict(words: Sequence[str], options: Options) -> None:
    from frostnas.cli.predict import predict

    _show(predict(Path(words[0]), words[1:]), options)


def _once(command: str, words: Sequence[str], options: Options) -> None:
    from frostnas.config.compose import compose_config, to_yaml

    overrides, path = _split(command, words)
    config = compose_config(overrides, Path(options.config_dir) if options.config_dir else None)
    if command == PROFILE and (options.out or path):
        from frostnas.cli.bundle import on_its_way

        config = on_its_way(config, overrides, options.out, path)
    config = _of_run(command, config, overrides, path, bundled=options.out is not None)
    if options.cfg:
        print(to_yaml(config), end="")
    else:
        _show(_work(command, config, overrides, path, options), options)


def _of_run(
    command: str, config: Config, overrides: Sequence[str], path: Path | None, *, bundled: bool = False
) -> Config:
    """With the data and the board of the run that the command works on, where the command line names no others."""
    from frostnas.cli.of_run import run_of, with_board_of_run, with_data_of_run

    if command in ("zoo", "report") or (command == PROFILE and path is not None):  # which takes all from the bundle
        return config
    folder = run_of(config, path)
    if command != "evaluate" and not bundled:  # it measures where it runs, on the board itself too
        config = with_board_of_run(config, overrides, folder)
    return with_data_of_run(config, overrides, folder)


def _split(command: str, words: Sequence[str]) -> tuple[list[str], Path | None]:
    """Overrides, and the one path of `evaluate PATH`, `report PATH` or `profile-latency import PATH`."""
    overrides = [word for word in words if "=" in word or word.startswith("~")]
    paths = [word for word in words if word not in overrides]
    imports = command == PROFILE and paths[:1] == ["import"]
    if imports:
        paths = paths[1:]
        if not paths:
            raise InputError("import: expected the results.json that a bundle's agent wrote")
    if len(paths) > (command in ("evaluate", "report") or imports):
        raise InputError(f"{paths[-1]}: expected KEY=VALUE")
    return overrides, Path(paths[0]) if paths else None


def _work(command: str, config: Config, overrides: Sequence[str], path: Path | None, options: Options) -> Outcome:
    """Each branch imports what it needs, and no more."""
    match command:
        case "zoo":
            from frostnas.cli.zoo import zoo

            return zoo(config, overrides)
        case "evaluate":
            from frostnas.cli.evaluate import evaluate

            return evaluate(config, overrides, path)
        case "report":
            from frostnas.cli.report import report

            return report(config, path)
        case "run":
            from frostnas.cli.run import chain

            return chain(config, _console(options), options.quiet, options.force)
        case _:
            from frostnas.cli.run import stage

            return stage(command, config, _console(options), options.quiet, options.force)


def _console(options: Options) -> Console:
    """Where progress and log lines go: stdout is the result's alone if that is for machines."""
    from rich.console import Console

    return Console(stderr=options.json)


def _show(outcome: Outcome, options: Options) -> None:
    import msgspec

    if options.json:
        print(msgspec.json.encode(outcome.data).decode())
    else:
        _console(options).print(outcome.view)


def _sweep(command: str, words: Sequence[str], options: Options) -> None:
    """Hand the command to Hydra's sweeper and launcher; each job has a run directory of its own."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from frostnas.config.compose import check_sweep, typed, with_recipe
    from frostnas.config.groups import CONFIG_NAME, conf_dir

    overrides, path = _split(command, words)
    if options.out or path:
        raise InputError(f"--multirun: expected neither {'--out' if options.out else path} with it")
    check_sweep(overrides, Path(options.config_dir) if options.config_dir else None)

    def task(composed: DictConfig) -> None:
        config = typed(composed)
        config.run_dir = HydraConfig.get().runtime.output_dir
        given = list(HydraConfig.get().overrides.task)
        _show(_work(command, _of_run(command, config, given, None), given, None, options), options)

    sys.argv = [f"frostnas {command}", "--multirun", *with_recipe(overrides)]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # a job's exception reaches us as it is
    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(task)()
