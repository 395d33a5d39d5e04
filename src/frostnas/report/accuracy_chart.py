"""Accuracy against INT8 latency: what a search scored, its front and pick, named networks, a ladder, exported files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from frostnas.artifacts import NetResult, ParetoRow, rows_of_figures
from frostnas.report.drawing import AMBER, BLUE, GREEN, GREY, PINK, RED, TEAL, VIOLET, Values, chart
from frostnas.report.grids import RunSummary
from frostnas.report.units import percent

KINDS = {
    "scored": (GREY, "circle"),
    "front": (BLUE, "circle"),
    "pick": (RED, "diamond"),
    "named network": (GREEN, "square"),
    "ladder": (VIOLET, "triangle-right"),
    "exported, measured": (AMBER, "triangle-up"),
}
"""Colour and shape of each."""
LARGE, SMALL = 150, 60  # areas of points, pixels
RUN_COLOURS = (BLUE, AMBER, GREEN, RED, VIOLET, TEAL, PINK, GREY)


def pareto_rows(path: Path) -> tuple[ParetoRow, ...]:
    """The rows of `pareto.csv`; none where there is no file."""
    return rows_of_figures(path, ParetoRow)


def points(run: RunSummary, rows: Sequence[ParetoRow]) -> Values:
    """Every network of a run that has both a latency and a top-1 on validation images."""
    values: Values = []
    if run.net is not None:
        values += [_point(row, run.net) for row in rows]
        values.append({"kind": "pick", "name": run.net.net.name, "ms": run.net.predicted_ms, "top1": run.net.top1})
    if run.ladder is not None:
        values += [
            {
                "kind": "ladder",
                "name": f"{run.ladder.net} at {one.image_size} pixels, {percent(one.top1_test)} of test images",
                "ms": one.latency_ms,
                "top1": one.top1,
            }
            for one in run.ladder.rungs
        ]
    if run.export is not None and run.exported is not None:
        int8 = run.export.int8
        name = f"{int8.path}, {percent(int8.top1)} of test images"
        top1 = run.exported.fake_quant.val
        values.append({"kind": "exported, measured", "name": name, "ms": int8.latency_ms_p50, "top1": top1})
    return values


def _point(row: ParetoRow, net: NetResult) -> dict[str, Any]:
    own = row.measured and row.network == net.net.name
    kind = "pick" if own else "named network" if row.measured else "front" if row.on_front else "scored"
    name = f"{row.network}, trained alone" if row.alone else row.network
    return {"kind": kind, "name": name, "ms": row.latency_ms, "top1": row.top1}


def accuracy_chart(values: Values, budget_ms: float | None) -> Any:
    """One run's points, coloured by what they are."""
    there = _kinds(values)
    colours = alt.Scale(domain=there, range=[KINDS[kind][0] for kind in there])
    colour = alt.Color("kind:N", scale=colours, legend=legend())
    layers = _lines(values, colour)
    if budget_ms is not None:
        budget = chart([{"ms": budget_ms, "name": "budget"}]).mark_rule(color=RED, strokeDash=[5, 4])
        tooltip = [alt.Tooltip("name:N"), alt.Tooltip("ms:Q", format=".4f")]
        layers.insert(0, budget.encode(x="ms:Q", tooltip=tooltip))
    return alt.layer(*layers, _points(values, colour, ["kind:N"]))


def accuracy_chart_of_runs(values: Values, names: Sequence[str]) -> Any:
    """Points of several runs, which have a `run`: coloured by it, and shaped by what they are."""
    values = [value for value in values if value["kind"] != "scored"]  # too many to tell runs apart
    colour = alt.Color("run:N", scale=run_scale(names), legend=legend())
    marks = _points(values, colour, ["run:N", "kind:N"], symbolFillColor=GREY, symbolStrokeColor=GREY)
    return alt.layer(*_lines(values, colour), marks)


def run_scale(names: Sequence[str]) -> Any:
    """The colours of runs, the same in every chart; they come again after eight."""
    return alt.Scale(domain=list(names), range=[RUN_COLOURS[n % len(RUN_COLOURS)] for n in range(len(names))])


def _lines(values: Values, colour: Any) -> list[Any]:
    """Through the front and the ladder, where there are any."""
    found = []
    for kind, form in (("front", "step-after"), ("ladder", "linear")):
        if shown := [value for value in values if value["kind"] == kind]:
            line = chart(shown).mark_line(interpolate=form, opacity=0.7)
            found.append(line.encode(x=_x(), y=_y(), color=colour))
    return found


def _kinds(values: Values) -> list[str]:
    """Those that occur, in their order."""
    return [kind for kind in KINDS if any(value["kind"] == kind for value in values)]


def _points(values: Values, colour: Any, tooltip: list[str], **symbols: str) -> Any:
    there = _kinds(values)
    values = [{**value, "area": SMALL if value["kind"] in ("scored", "front") else LARGE} for value in values]
    shapes = alt.Scale(domain=there, range=[KINDS[kind][1] for kind in there])
    return (
        chart(values)
        .mark_point(filled=True, opacity=0.9)
        .encode(
            x=_x(),
            y=_y(),
            color=colour,
            size=alt.Size("area:Q", scale=None),
            shape=alt.Shape("kind:N", scale=shapes, legend=legend(**symbols)),
            tooltip=[
                *map(alt.Tooltip, tooltip),
                alt.Tooltip("name:N", title="network"),
                alt.Tooltip("ms:Q", title="ms", format=".4f"),
                alt.Tooltip("top1:Q", title="top-1", format=".2%"),
            ],
        )
    )


def _x() -> Any:
    axis = alt.Axis(tickCount=8, labelOverlap=True)
    return alt.X("ms:Q", title="INT8 latency, ms", axis=axis, scale=alt.Scale(zero=False, padding=12))


def _y() -> Any:
    return alt.Y(
        "top1:Q", title="validation top-1", axis=alt.Axis(format="~%"), scale=alt.Scale(zero=False, padding=12)
    )


def legend(**symbols: str) -> Any:
    """Below the chart, in columns that fit on a phone."""
    return alt.Legend(title=None, orient="bottom", columns=2, labelLimit=260, **symbols)
