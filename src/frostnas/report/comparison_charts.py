"""Charts of several runs together, coloured by run: accuracy against latency, validation curves, recall by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from frostnas.report.accuracy_chart import accuracy_chart_of_runs, legend, pareto_rows, points, run_scale
from frostnas.report.charts import MOST_CLASSES, curve_rows
from frostnas.report.comparison import recalls
from frostnas.report.drawing import HEIGHT, ROW, Figure, Values, chart, figure
from frostnas.report.reported import Reported


def comparison_figures(runs: Sequence[Reported]) -> list[Figure]:
    """The charts for which the runs have figures."""
    names = [one.name for one in runs]
    found: list[Figure] = []
    networks = [
        {"run": one.name, **value} for one in runs for value in points(one.run, pareto_rows(one.folder / "pareto.csv"))
    ]
    if networks:
        caption = (
            "Accuracy on validation images against INT8 latency: fronts and ladders as lines, exported files measured"
        )
        found.append(figure("accuracy", caption, accuracy_chart_of_runs(networks, names)))
    curves = [
        {"run": one.name, **value}
        for one in runs
        for value in curve_rows(one.folder / "metrics" / "train.csv")
        if value["series"] == "validation"
    ]
    if curves:
        found.append(figure("curves", "Validation top-1 over the training", _curves(curves, names)))
    classes = [
        {"run": one.name, "class": name, "recall": recall, "images": images}
        for one in runs
        if one.inspection is not None
        for name, recall, images in recalls(one.inspection)
    ]
    if classes:
        caption = "Of each class the share of test images that the INT8 network names so, the hardest classes first"
        found.append(figure("recall", caption, _recall(classes, names)))
    return found


def _curves(values: Values, names: Sequence[str]) -> Any:
    return (
        chart(values)
        .mark_line(point=alt.OverlayMarkDef(size=25))
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("value:Q", title="validation top-1", axis=alt.Axis(format=".0%"), scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", scale=run_scale(names), legend=legend()),
            tooltip=["run:N", "epoch:Q", "phase:N", alt.Tooltip("value:Q", title="top-1", format=".2%")],
        )
        .properties(height=HEIGHT // 2)
    )


def _recall(values: Values, names: Sequence[str]) -> Any:
    """A row per class; of many classes those that are recognised worst by any run."""
    worst: dict[str, float] = {}
    for value in values:
        worst[value["class"]] = min(value["recall"], worst.get(value["class"], 1.0))
    shown = sorted(worst, key=lambda name: worst[name])[:MOST_CLASSES]
    return (
        chart([value for value in values if value["class"] in shown])
        .mark_point(filled=True, size=70, opacity=0.9)
        .encode(
            x=alt.X("recall:Q", axis=alt.Axis(format="~%"), scale=alt.Scale(zero=False, domainMax=1)),
            y=alt.Y("class:N", sort=shown, title=None),
            color=alt.Color("run:N", scale=run_scale(names), legend=legend()),
            tooltip=["run:N", "class:N", alt.Tooltip("recall:Q", format=".2%"), "images:Q"],
        )
        .properties(height=ROW * len(shown))
    )
