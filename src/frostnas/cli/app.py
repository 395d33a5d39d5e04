"""The command line: `frostnas COMMAND [KEY=VALUE]...`. Only a command's own work imports torch."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from frostnas.cli.completion import complete_override
from frostnas.cli.execute import Options, execute
from frostnas.version import __version__


def _words(metavar: str, text: str) -> Any:
    """The words behind a command, of which overrides are completed."""
    return typer.Argument(metavar=metavar, help=text, autocompletion=complete_override, show_default=False)


Overrides = Annotated[
    list[str] | None,
    _words("KEY=VALUE", "Hydra overrides, e.g. run_dir=runs/mine data=imagefolder data.root=photos seed=1."),
]
RunAndOverrides = Annotated[
    list[str] | None,
    _words("PATH|KEY=VALUE", "A run directory (default: run_dir), then Hydra overrides."),
]
RunsAndOverrides = Annotated[
    list[str] | None,
    _words("PATH...|KEY=VALUE", "Run directories (default: run_dir); several are compared. Then Hydra overrides."),
]
PathAndOverrides = Annotated[
    list[str] | None,
    _words("PATH|KEY=VALUE", "A run directory or an exported .onnx file (default: run_dir), then Hydra overrides."),
]
ImportAndOverrides = Annotated[
    list[str] | None,
    _words(
        "[import RESULTS]|KEY=VALUE",
        "Hydra overrides; or `import`, the results.json that a bundle's agent wrote, and the bundle's run_dir=.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="ZIP", help="Measure nothing here: write a bundle to carry to the target."),
]
Folder = Annotated[
    str | None,
    typer.Option("--out", metavar="FOLDER", help="Where files go, in place of the folder that is looked at."),
]
Cfg = Annotated[bool, typer.Option("--cfg", help="Print the resolved config and exit.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, everything else on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a result that was made from another config.")]
Multirun = Annotated[
    bool,
    typer.Option("--multirun", "-m", help="Hand over to Hydra's sweeper: one run per combination, e.g. seed=0,1,2."),
]
PlanOnly = Annotated[
    bool, typer.Option("--plan", help="Print what would be done within time_limit, with minutes and memory, and exit.")
]
ConfigDir = Annotated[
    str | None,
    typer.Option("--config-dir", metavar="DIR", help="A folder of your own Hydra groups, looked at first."),
]
Version = Annotated[
    bool, typer.Option("--version", callback=lambda asked: _version(asked), is_eager=True, help="Print the version.")
]

app = typer.Typer(
    name="frostnas",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"frostnas {__version__}")
        raise typer.Exit


@app.callback()
def frostnas(version: Version = False) -> None:
    """Quantization-aware architecture search: from labelled images and a CPU to a measured INT8 network."""


def _stage(name: str, summary: str, example: str) -> None:
    """Register a command that runs one stage, or all of them."""

    def command(
        overrides: Overrides = None,
        cfg: Cfg = False,
        json: Json = False,
        quiet: Quiet = False,
        force: Force = False,
        multirun: Multirun = False,
        config_dir: ConfigDir = None,
        plan: PlanOnly = False,
    ) -> None:
        execute(name, overrides or [], Options(cfg, json, quiet, force, multirun, config_dir, plan=plan))

    app.command(name, help=summary, epilog=f"Example: frostnas {name} {example}")(command)


_stage(
    "search-block",
    "Find the building block: DARTS under quantization-aware training. Writes block.json.",
    "run_dir=runs/photos data=imagefolder data.root=photos",
)


@app.command(epilog="Example: frostnas profile-latency run_dir=runs/photos latency/target=ssh host=pi@board")
def profile_latency(
    overrides: ImportAndOverrides = None,
    out: Out = None,
    cfg: Cfg = False,
    json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
    multirun: Multirun = False,
    config_dir: ConfigDir = None,
) -> None:
    """Measure the INT8 latency of every block of the network space. Writes latency.csv and latency.json."""
    execute("profile-latency", overrides or [], Options(cfg, json, quiet, force, multirun, config_dir, out))


_stage(
    "search-net",
    "Assemble the most accurate network within the latency budget. Writes net.json and pareto.csv.",
    "run_dir=runs/photos budget.latency_ms=2.5",
)
_stage(
    "train",
    "Train a network with StatAssist and GradBoost. Writes weights.safetensors and train.json.",
    "run_dir=runs/zoo net=frostnet_small_0_5",
)
_stage(
    "export",
    "Write a trained run's INT8 and FP32 ONNX files, run them back and measure them. Writes export.json.",
    "run_dir=runs/photos",
)
_stage(
    "ladder",
    "Train, export and measure one network at several image sizes. Writes ladder.json and ladder.png.",
    "run_dir=runs/ladder net=efficientnet_lite0 ladder.sizes=[64,96,128]",
)
_stage("run", "Run the whole chain; a finished stage is not run again.", "run_dir=runs/digits experiment=digits")


@app.command(epilog="Example: frostnas evaluate runs/photos/model.int8.onnx data=imagefolder data.root=photos")
def evaluate(
    overrides: PathAndOverrides = None,
    out: Folder = None,
    cfg: Cfg = False,
    json: Json = False,
    quiet: Quiet = False,
    config_dir: ConfigDir = None,
) -> None:
    """Accuracy, per-class table, latency and size of a run or of an exported file, on any data."""
    execute("evaluate", overrides or [], Options(cfg, json, quiet, config_dir=config_dir, out=out))


@app.command(epilog="Example: frostnas report runs/photos")
def report(
    overrides: RunsAndOverrides = None,
    out: Folder = None,
    cfg: Cfg = False,
    json: Json = False,
    config_dir: ConfigDir = None,
) -> None:
    """One HTML file of a run: what was promised, what was measured, its plots. Writes report.html.

    Several runs: side by side, as comparison.html in the folder that they lie in.
    """
    execute("report", overrides or [], Options(cfg, json, config_dir=config_dir, out=out))


@app.command(epilog="Example: frostnas status runs/photos")
def status(overrides: RunAndOverrides = None, cfg: Cfg = False, json: Json = False) -> None:
    """What of a run is done, running and next, how long it may take, and what stopped it."""
    execute("status", overrides or [], Options(cfg, json))


@app.command(epilog="Example: frostnas doctor latency/target=ssh host=pi@board")
def doctor(overrides: Overrides = None, cfg: Cfg = False, json: Json = False, config_dir: ConfigDir = None) -> None:
    """Whether this machine and the target can do what the config asks for. Exit status 1 if something is in the way."""
    execute("doctor", overrides or [], Options(cfg, json, config_dir=config_dir))


@app.command(epilog="Example: frostnas predict runs/photos cat.jpg dog.png")
def predict(
    path: Annotated[str, typer.Argument(help="A run directory or an exported .onnx file.")],
    image: Annotated[list[str], typer.Argument(help="Image files, and folders of them.")],
    json: Json = False,
) -> None:
    """The likeliest classes of images, by an exported file. Of a folder every image in it. Needs no torch."""
    execute("predict", [path, *image], Options(json=json))


@app.command(epilog="Example: frostnas zoo data.image_size=192 table=runs/photos/latency.json")
def zoo(
    overrides: Overrides = None,
    cfg: Cfg = False,
    json: Json = False,
    config_dir: ConfigDir = None,
) -> None:
    """The published FrostNets and their peers: parameters, multiply-adds, and latency if a table is given."""
    execute("zoo", overrides or [], Options(cfg, json, config_dir=config_dir))


def main() -> None:
    """Run the command that the process was called with."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal has no sign for is escaped
            stream.reconfigure(errors="backslashreplace")
    app()
