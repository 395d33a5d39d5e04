"""A run as one HTML file that opens offline: its grids, its plots and what speaks against them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from frostnas.artifacts import Artifact
from frostnas.report.grids import Grid, RunSummary, artifact_grids, layers_grid, run_grid
from frostnas.version import __version__

TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot of the run directory."""

    caption: str
    source: str
    """Its bytes, as a data URI."""


@dataclass(frozen=True, slots=True)
class Section:
    """What one stage found."""

    title: str
    grids: list[Grid]
    pictures: list[Picture]


def page(run: RunSummary, folder: Path, doubts: list[str], config: str) -> str:
    """The whole page; plots are those that lie in ``folder``.

    Args:
        doubts: what else speaks against trusting the run, beside the warnings of its artifacts.
        config: the resolved config as YAML.
    """
    block, latency = run.block, run.latency
    warnings = [
        *doubts,
        *(f"block.json: {one}" for one in (block.warnings if block is not None else ())),
        *(f"latency.json: {one}" for one in (latency.warnings if latency is not None else ())),
        *(f"train.json: {one}" for one in (run.train.warnings if run.train is not None else ())),
    ]
    templates = Environment(loader=PackageLoader("frostnas.report"), autoescape=True, undefined=StrictUndefined)
    return templates.get_template("page.html").render(
        title=folder.name,
        version=__version__,
        summary=run_grid(run, folder),
        warnings=warnings,
        sections=_sections(run, folder),
        config=config,
    )


def _sections(run: RunSummary, folder: Path) -> list[Section]:
    layers = [layers_grid(run.train.net)] if run.train is not None else []
    stages: list[tuple[str, Artifact | None, list[Grid], dict[str, str]]] = [
        (
            "Building block",
            run.block,
            [],
            {"block.svg": "The block", "block_history.svg": "Architecture weights over the search"},
        ),
        ("Latency table", run.latency, [], {}),
        ("Network search", run.net, [], {"pareto.svg": "Accuracy in the supernet against predicted latency"}),
        (
            "Training",
            run.train,
            layers,
            {
                "training.png": "Loss, validation top-1 and learning rate",
                "ranges.png": "Activation ranges by layer",
            },
        ),
        ("Exported files", run.export, [], {"model.int8.confusion.png": "Confusion matrix of the last evaluation"}),
    ]
    return [
        Section(title, [*artifact_grids(value, folder / f"{value.KIND}.json"), *more], _pictures(folder, captions))
        for title, value, more, captions in stages
        if value is not None
    ]


def _pictures(folder: Path, captions: dict[str, str]) -> list[Picture]:
    return [
        Picture(caption, f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}")
        for name, caption in captions.items()
        if (path := folder / name).is_file()
    ]
