"""A run as one HTML file that opens offline: its grids, its plots and what speaks against them."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from frostnas.artifacts import Artifact, Inspection
from frostnas.report.grids import Grid, RunSummary, artifact_grids, layers_grid, run_grid
from frostnas.version import __version__

if TYPE_CHECKING:
    from frostnas.report.charts import Figure

log = logging.getLogger(__name__)
DRAWN = ("pareto.svg", "training.png", "model.int8.confusion.png")  # what charts show, too
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
    figures: list[Figure]
    """Charts that can be read off by pointing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A test image and what the INT8 network says of it."""

    source: str
    """As a data URI."""
    said: str
    right: bool


def page(run: RunSummary, folder: Path, doubts: list[str], config: str, inspection: Inspection | None = None) -> str:
    """The whole page; pictures are those that lie in ``folder``, charts are drawn by what it carries itself.

    Args:
        doubts: what else speaks against trusting the run, beside the warnings of its artifacts.
        config: the resolved config as YAML.
        inspection: what the export saw of the network.
    """
    block, latency = run.block, run.latency
    warnings = [
        *doubts,
        *(f"block.json: {one}" for one in (block.warnings if block is not None else ())),
        *(f"latency.json: {one}" for one in (latency.warnings if latency is not None else ())),
        *(f"train.json: {one}" for one in (run.train.warnings if run.train is not None else ())),
    ]
    templates = Environment(loader=PackageLoader("frostnas.report"), autoescape=True, undefined=StrictUndefined)
    charts, bundle = _charts(run, folder, inspection)
    return templates.get_template("page.html").render(
        bundle=bundle,
        specs={figure.name: figure.spec for some in charts.values() for figure in some},
        shown=_shown(inspection) if inspection is not None else [],
        title=folder.name,
        version=__version__,
        summary=run_grid(run, folder),
        warnings=warnings,
        sections=_sections(run, folder, charts),
        config=config,
    )


def _charts(run: RunSummary, folder: Path, inspection: Inspection | None) -> tuple[dict[str, list[Figure]], str]:
    """The charts by section and the JavaScript that draws them; nothing without the extra `report`."""
    try:
        import vl_convert

        from frostnas.report.charts import figures
    except ModuleNotFoundError as error:
        log.warning("the report has no charts: %s; `pip install 'frostnas[report]'` brings what draws them", error)
        return {}, ""
    charts = figures(run, folder, inspection)
    bundle = vl_convert.javascript_bundle()
    return charts, bundle if any(charts.values()) else ""


def _shown(inspection: Inspection) -> list[Shown]:
    names = inspection.classes
    return [
        Shown(
            f"data:image/png;base64,{one.png}",
            f"{names[one.named]} {one.probability:.0%}" + ("" if one.named == one.true else f", is {names[one.true]}"),
            one.named == one.true,
        )
        for one in inspection.shown
    ]


def _sections(run: RunSummary, folder: Path, charts: dict[str, list[Figure]]) -> list[Section]:
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
        Section(
            title,
            [*artifact_grids(value, folder / f"{value.KIND}.json"), *more],
            _pictures(
                folder,
                {name: text for name, text in captions.items() if not (charts.get(value.KIND) and name in DRAWN)},
            ),
            charts.get(value.KIND, []),
        )
        for title, value, more, captions in stages
        if value is not None
    ]


def _pictures(folder: Path, captions: dict[str, str]) -> list[Picture]:
    return [
        Picture(caption, f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}")
        for name, caption in captions.items()
        if (path := folder / name).is_file()
    ]
