"""Charts of a run that can be read off by pointing: Vega-Lite specifications, made by Altair from artifacts alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt

from frostnas.artifacts import EpochRow, Inspection, LatencyTable, rows_of_figures
from frostnas.report.accuracy_chart import accuracy_chart, pareto_rows, points
from frostnas.report.drawing import AMBER, BLUE, GREY, HEIGHT, ROW, Figure, Values, chart, figure
from frostnas.report.grids import RunSummary
from frostnas.report.network_chart import network_caption, network_chart, parts_of
from frostnas.report.units import percent

MOST_CLASSES = 40  # of a confusion matrix that can be read
PANELS = (("loss", "~g"), ("top-1", ".0%"), ("learning rate", "~g"))


def figures(run: RunSummary, folder: Path, inspection: Inspection | None) -> dict[str, list[Figure]]:
    """The charts of each stage's section, as far as the run has come, by the artifact's kind."""
    found: dict[str, list[Figure]] = {}
    values = points(run, pareto_rows(folder / "pareto.csv"))
    if len(values) > 1:
        drawn = accuracy_chart(values, run.net.budget_ms if run.net is not None else None)
        found["net" if run.net is not None else "ladder"] = [
            figure("accuracy", "Accuracy on validation images against INT8 latency", drawn)
        ]
    if run.latency is not None and run.latency.networks:
        held = run.latency.held_out
        error = f"{percent(held.mean_error)} in the mean and {percent(held.max_error)} at most"
        caption = f"Whole networks, predicted and measured, equal on the line; held-out ones are off by {error}"
        found["latency"] = [figure("prediction", caption, prediction_chart(run.latency))]
    if run.train is not None:
        curves = curve_rows(folder / "metrics" / "train.csv")
        found["train"] = [
            figure(f"curve{number}", f"Training: {panel}", curve_chart(curves, panel, form))
            for number, (panel, form) in enumerate(PANELS if curves else ())
        ]
    seen = inspection if run.export is not None else None
    if run.exported is not None and (parts := parts_of(run.exported.net, run.latency, seen)):
        at = "export" if seen is not None else "train"
        found.setdefault(at, []).append(figure("network", network_caption(seen), network_chart(parts)))
    if seen is not None:
        drawn = confusion_chart(seen)
        found["export"].append(figure("confusion", "What the INT8 network names the test images", drawn))
    return found


def prediction_chart(table: LatencyTable) -> Any:
    """Predicted against measured latency of the networks that the table was fitted on and checked with."""
    values: Values = [
        {
            "kind": "held out" if one.held_out else "fitted on",
            "predicted": one.predicted_ms,
            "measured": one.measured_ms,
            "error": one.predicted_ms / one.measured_ms - 1,
        }
        for one in table.networks
    ]
    ends = [value[name] for value in values for name in ("predicted", "measured")]
    line: Values = [{"predicted": end, "measured": end} for end in (min(ends), max(ends))]
    few, scale = alt.Axis(tickCount=8, labelOverlap=True), alt.Scale(zero=False, padding=12)
    x = alt.X("predicted:Q", title="predicted, ms", axis=few, scale=scale)
    y = alt.Y("measured:Q", title="measured, ms", scale=scale)
    equal = chart(line).mark_line(color=GREY, strokeDash=[5, 4]).encode(x=x, y=y)
    colours = alt.Scale(domain=["fitted on", "held out"], range=[GREY, BLUE])
    points = (
        chart(values)
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color("kind:N", scale=colours, legend=alt.Legend(title=None, orient="bottom")),
            tooltip=[
                alt.Tooltip("kind:N"),
                alt.Tooltip("predicted:Q", format=".4f"),
                alt.Tooltip("measured:Q", format=".4f"),
                alt.Tooltip("error:Q", format="+.1%"),
            ],
        )
    )
    return alt.layer(equal, points)


def curve_chart(values: Values, panel: str, form: str) -> Any:
    """One kind of figure over the epochs."""
    scale = alt.Scale(zero=panel != "top-1")
    return (
        chart([value for value in values if value["panel"] == panel])
        .mark_line(point=alt.OverlayMarkDef(size=25))
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("value:Q", title=panel, axis=alt.Axis(format=form), scale=scale),
            color=alt.Color(
                "series:N", scale=alt.Scale(range=[BLUE, AMBER]), legend=alt.Legend(title=None, orient="bottom")
            ),
            tooltip=["epoch:Q", "phase:N", "series:N", alt.Tooltip("value:Q", format=".4~g")],
        )
        .properties(height=HEIGHT // 2)
    )


def confusion_chart(inspection: Inspection) -> Any:
    """Share of each true class that is named so; of many classes those with the most mistakes."""
    totals: dict[int, int] = {}
    mistakes: dict[int, int] = {}
    for cell in inspection.confusion:
        totals[cell.true] = totals.get(cell.true, 0) + cell.images
        if cell.true != cell.named:
            for one in (cell.true, cell.named):
                mistakes[one] = mistakes.get(one, 0) + cell.images
    shown = list(range(len(inspection.classes)))
    if len(shown) > MOST_CLASSES:
        shown = sorted(sorted(shown, key=lambda one: -mistakes.get(one, 0))[:MOST_CLASSES])
    names = [inspection.classes[one] for one in shown]
    values: Values = [
        {
            "true": inspection.classes[cell.true],
            "named": inspection.classes[cell.named],
            "images": cell.images,
            "share": cell.images / totals[cell.true],
        }
        for cell in inspection.confusion
        if cell.true in shown and cell.named in shown
    ]
    return (
        chart(values)
        .mark_rect()
        .encode(
            x=alt.X("named:N", sort=names, scale=alt.Scale(domain=names), title="named"),
            y=alt.Y("true:N", sort=names, scale=alt.Scale(domain=names), title="true"),
            color=alt.Color("share:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None),
            tooltip=["true:N", "named:N", "images:Q", alt.Tooltip("share:Q", title="of the class", format=".1%")],
        )
        .properties(height=max(HEIGHT, ROW * len(names)))
    )


def curve_rows(path: Path) -> Values:
    """`metrics/train.csv` as one row per panel, series and epoch."""
    return [one for row in rows_of_figures(path, EpochRow) for one in _of_epoch(row)]


def _of_epoch(row: EpochRow) -> Iterator[dict[str, Any]]:
    series = (
        ("loss", "training loss", row.train_loss),
        ("top-1", "training (augmented)", row.train_top1),
        ("top-1", "validation", row.val_top1),
        ("learning rate", "learning rate", row.lr),
    )
    for panel, name, value in series:
        yield {"panel": panel, "series": name, "epoch": row.epoch, "phase": row.phase, "value": value}
