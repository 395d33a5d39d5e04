"""Runs as one HTML file that opens offline: their grids, their plots and what speaks against them."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from frostnas.artifacts import Artifact, Inspection
from frostnas.report.comparison import summary_grid
from frostnas.report.grids import Grid, RunSummary, artifact_grids, layers_grid, run_grid
from frostnas.report.plan_grid import first_grid, plan_grid
from frostnas.report.reported import Reported
from frostnas.version import __version__

if TYPE_CHECKING:
    from frostnas.report.drawing import Figure

log = logging.getLogger(__name__)
DRAWN = ("pareto.svg", "ladder.png", "training.png", "model.int8.confusion.png")  # what charts show, too
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


def page(one: Reported) -> str:
    """A run; pictures are those that lie in its folder, charts are drawn by what the page carries itself."""
    charts: dict[str, list[Figure]] = {}
    if _can_draw():
        from frostnas.report.charts import figures

        charts = figures(one.run, one.folder, one.inspection)
    bundle = _bundle() if charts else ""
    charts = charts if bundle else {}
    return _rendered(
        "page.html",
        bundle,
        [figure for some in charts.values() for figure in some],
        title=one.name,
        shown=_shown(one.inspection) if one.inspection is not None else [],
        summary=run_grid(one.run, one.folder),
        warnings=one.warnings,
        sections=[*_planned(one), *_sections(one.run, one.folder, charts)],
        config=one.settings,
    )


def comparison_page(runs: Sequence[Reported], doubts: Sequence[str], settings: Grid) -> str:
    """Several runs side by side.

    Args:
        doubts: what speaks against comparing them.
        settings: those that differ.
    """
    charts: list[Figure] = []
    if _can_draw():
        from frostnas.report.comparison_charts import comparison_figures

        charts = comparison_figures(runs)
    bundle = _bundle() if charts else ""
    charts = charts if bundle else []
    return _rendered(
        "comparison.html",
        bundle,
        charts,
        title=f"{len(runs)} runs",
        summary=summary_grid(runs),
        warnings=[*doubts, *(f"{one.name}: {said}" for one in runs for said in one.warnings)],
        shown=[(one.name, _shown(one.inspection)) for one in runs if one.inspection is not None],
        settings=settings,
    )


def _rendered(template: str, bundle: str, figures: Sequence[Figure], **values: Any) -> str:
    templates = Environment(loader=PackageLoader("frostnas.report"), autoescape=True, undefined=StrictUndefined)
    specs = {figure.name: figure.spec for figure in figures}
    drawn = {"figures": figures, "bundle": bundle, "specs": specs}
    return templates.get_template(template).render(version=__version__, **drawn, **values)


def _can_draw() -> bool:
    """Whether what draws charts is installed; warns where it is not."""
    if lacking := [name for name in ("altair", "vl_convert") if find_spec(name) is None]:
        said = f"{' and '.join(lacking)} not installed; `pip install 'frostnas[report]'` brings what draws them"
        log.warning("the report has no charts: %s", said)
    return not lacking


def _bundle() -> str:
    """The JavaScript that draws charts; empty, with a warning, where it cannot be made.

    A process of its own writes it: V8 ends the process that it is in where `ulimit -v` leaves it too little.
    """
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        log.warning("the report has no charts: vl-convert ended with status %d; see `ulimit -v`", done.returncode)
        return ""
    return done.stdout


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


def _planned(one: Reported) -> list[Section]:
    """What a time limit made of the run."""
    plan = plan_grid(one.plan, "planned and taken") if one.plan is not None else None
    grids = [grid for grid in (plan, first_grid(one.run)) if grid is not None]
    return [Section("Within the time", grids, [], [])] if grids else []


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
        ("Ladder", run.ladder, [], {"ladder.png": "Accuracy against measured latency at several image sizes"}),
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
                {name: text for name, text in captions.items() if not (name in DRAWN and charts.get(value.KIND))},
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
