"""A network layer by layer: each layer's share of the latency, and beside it the health of its integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from frostnas.artifacts import (
    HeadSpec,
    Inspection,
    LatencyTable,
    LayerHealth,
    LayerSpec,
    NetSpec,
    StemSpec,
    Workload,
)
from frostnas.report.drawing import AMBER, BLUE, GREEN, GREY, RED, ROW, Values, chart
from frostnas.report.grids import layer_text

GOOD_DB, POOR_DB = 20.0, 10.0  # a noise of a tenth and of a third of the signal's amplitude
GOOD_CUT, POOR_CUT = 0.01, 0.05  # shares of the activations that are cut off
FULL_DB, FULL_CUT = 40.0, 0.1  # what the longest bars stand for

NAME, TIME, NOISE, CUT, RANGE, END = 2.0, 30.0, 52.0, 70.0, 87.0, 100.0  # where columns begin, % of the width
BAR = 9.0  # the longest bar; its number stands behind it
HEALTH = ((NOISE, "dB"), (CUT, "cut off"), (RANGE, "range"))


@dataclass(frozen=True, slots=True)
class Part:
    """A stem, layer or head, and what is drawn of it."""

    title: str
    share: float | None
    """Of the network's predicted latency; None where there is no table."""
    health: tuple[LayerHealth, ...]
    """Of the outputs of its operations, in the order of data flow."""


def parts_of(net: NetSpec, table: LatencyTable | None, inspection: Inspection | None) -> list[Part]:
    """The network from its image to its logits; empty where neither its latency nor its health is known."""
    if table is not None and not table.covers(net):
        table = None
    works = list(net.workloads())
    names = ["stem", *(f"layers.{number}" for number in range(len(net.layers))), "head"]
    titles = {"input": f"image, 3 x {net.image_size}²"} | {
        name: f"{name.removeprefix('layers.')}  {_shape(one)}" for name, one in zip(names, works, strict=True)
    }
    total = table.predict_ms(net) if table is not None else 0.0
    shares = {name: table.workload_ms(one) / total for name, one in zip(names, works, strict=True)} if table else {}
    health: dict[str, list[LayerHealth]] = {name: [] for name in titles}
    for one in inspection.layers if inspection is not None else ():
        health.setdefault(_part(one.layer), []).append(one)
    found = [Part(titles.get(name, name), shares.get(name), tuple(some)) for name, some in health.items()]
    return [one for one in found if one.share is not None or one.health]


def network_chart(parts: list[Part]) -> Any:
    """One drawing with columns side by side, as wide as the page lets it be: rows are layers, in their order.

    A block is as tall as its part of the network and as wide as its share of the time.
    """
    bars: Values = []
    texts: Values = []
    rows: Values = []
    timed, seen = any(one.share is not None for one in parts), any(one.health for one in parts)
    shown = [*([(TIME, "time")] if timed else []), *(HEALTH if seen else [])]
    heads: Values = [{"x": x, "y": 0.5, "text": title} for x, title in shown]
    longest = max((one.share for one in parts if one.share is not None), default=1.0)
    y = 1
    for part in parts:
        height = max(1, len(part.health))
        bars.append(_bar(0, END, y, y + 0.06, GREY))
        heads.append({"x": 0.0, "y": y + 0.5, "text": part.title})
        if part.share is not None:
            width = BAR * part.share / longest
            bars.append(_bar(TIME, TIME + width, y + 1, y + 0.9 + height, BLUE))
            texts.append({"x": TIME + width + 0.6, "y": y + 1 + height / 2, "text": f"{part.share:.1%}"})
        for number, one in enumerate(part.health, y + 1):
            bars += _health_bars(one, number)
            texts += _health_texts(one, number)
        rows += [{"y": number, "y2": number + 1, **said} for number, said in enumerate(_said(part), y + 1)]
        y += 1 + height
    ends = alt.Scale(domain=[0, y], reverse=True, nice=False)
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, END], nice=False), axis=None)
    at = alt.Y("y:Q", scale=ends, axis=None)
    fill = alt.Fill("fill:N", scale=None)
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("y", "y2")))
    return alt.layer(
        chart(bars).mark_rect().encode(x=x, x2="x2:Q", y=at, y2="y2:Q", fill=fill),
        chart(texts).mark_text(align="left", fontSize=10).encode(x=x, y=at, text="text:N"),
        chart(heads).mark_text(align="left", fontSize=11, fontWeight="bold").encode(x=x, y=at, text="text:N"),
        chart(rows).mark_rect(opacity=0).encode(y=at, y2="y2:Q", tooltip=[f"{name}:N" for name in names]),
    ).properties(height=ROW * y)


def network_caption(inspection: Inspection | None) -> str:
    """What the drawing shows, column by column."""
    said = [
        "The network, layer by layer: [kernel, channels, expansion, squeeze, stride], shape in → out",
        "time: its share of the predicted latency",
    ]
    if inspection is not None:
        said += [
            f"dB: signal to noise, INT8 against FP32, on {inspection.layer_images} test images",
            f"green from {GOOD_DB:g}, red under {POOR_DB:g}",
            f"cut off: activations beyond the integer grid, red over {POOR_CUT:.0%}",
            "range: the grid (line) and nearly all activations (bar)",
        ]
    return "; ".join(said)


def _part(quantizer: str) -> str:
    """The part of the network that a quantizer belongs to: `stem`, `layers.3`, `head`."""
    first, *more = quantizer.split(".")
    return f"{first}.{more[0]}" if first == "layers" and more else first


def _shape(one: Workload) -> str:
    """Operation and shapes: `[3,24,6,1,2]  16 x 16² → 24 x 8²`."""
    came = f"{one.in_channels} x {one.size}²"
    match one.part:
        case StemSpec(channels, stride, kernel):
            return f"{kernel}x{kernel}  {came} → {channels} x {-(-one.size // stride)}²"
        case LayerSpec(_, channels, stride):
            return f"{layer_text(one.part)}  {came} → {channels} x {-(-one.size // stride)}²"
        case HeadSpec():
            return f"{came} → {one.part.classes} classes"


def _health_bars(one: LayerHealth, y: int) -> Values:
    snr = BAR * min(max(one.snr_db, 0.0), FULL_DB) / FULL_DB
    cut = BAR * min(one.saturated, FULL_CUT) / FULL_CUT
    room, grid = END - RANGE, one.high - one.low
    low, high = (RANGE + room * min(max((end - one.low) / grid, 0.0), 1.0) for end in (one.bulk_low, one.bulk_high))
    return [
        _bar(NOISE, NOISE + snr, y + 0.1, y + 0.9, _colour(-one.snr_db, -GOOD_DB, -POOR_DB)),
        _bar(CUT, CUT + cut, y + 0.1, y + 0.9, _colour(one.saturated, GOOD_CUT, POOR_CUT)),
        _bar(RANGE, END, y + 0.45, y + 0.55, GREY),
        _bar(low, high, y + 0.25, y + 0.75, BLUE),
    ]


def _health_texts(one: LayerHealth, y: int) -> Values:
    snr = BAR * min(max(one.snr_db, 0.0), FULL_DB) / FULL_DB
    cut = BAR * min(one.saturated, FULL_CUT) / FULL_CUT
    name = one.layer.removeprefix(_part(one.layer)).lstrip(".") or "output"
    return [
        {"x": x, "y": y + 0.5, "text": text}
        for x, text in (
            (NAME, name),
            (NOISE + snr + 0.6, f"{one.snr_db:.0f}"),
            (CUT + cut + 0.6, f"{one.saturated:.2%}"),
        )
    ]


def _said(part: Part) -> Values:
    """What pointing at each row of a part shows."""
    said: dict[str, Any] = {"part": part.title}
    if part.share is not None:
        said["share of the latency"] = f"{part.share:.1%}"
    return [
        {
            **said,
            "layer": one.layer,
            "signal to noise": f"{one.snr_db:.1f} dB",
            "state": state(one.snr_db),
            "cut off": f"{one.saturated:.3%}",
            "grid": f"{one.low:.4g} to {one.high:.4g}",
            "nearly all activations": f"{one.bulk_low:.4g} to {one.bulk_high:.4g}",
        }
        for one in part.health
    ] or [said]


def state(snr_db: float) -> str:
    """How a layer's signal to noise is called."""
    return "good" if snr_db >= GOOD_DB else "fair" if snr_db >= POOR_DB else "poor"


def _colour(value: float, good: float, poor: float) -> str:
    return GREEN if value <= good else AMBER if value <= poor else RED


def _bar(x: float, x2: float, y: float, y2: float, fill: str) -> dict[str, Any]:
    return {"x": x, "x2": x2, "y": y, "y2": y2, "fill": fill}
