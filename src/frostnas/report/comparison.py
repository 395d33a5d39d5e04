"""Several runs side by side: what each came to, which settings differ, and charts that show them together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from frostnas.artifacts import Inspection
from frostnas.report.grids import Grid, Rows, RunSummary, block_text, layer_text
from frostnas.report.reported import Reported
from frostnas.report.units import kib, ms, percent

NONE = "-"


def summary_grid(runs: Sequence[Reported]) -> Grid:
    """A column per run, a row per figure; rows that no run has are left out."""
    names = [one.name for one in runs]
    rows: Rows = []
    for title, said in FIGURES:
        cells = [said(one.run) for one in runs]
        if any(cells):
            rows.append((title, *(cell or NONE for cell in cells)))
    return Grid("", rows, ("", *names), ("", *names))


def settings_grid(names: Sequence[str], settings: Sequence[dict[str, Any]]) -> Grid:
    """The keys of the configs whose values differ between the runs. Args: settings: plain, nested, one per run."""
    flat = [dict(_flat(one)) for one in settings]
    keys = dict.fromkeys(key for one in flat for key in one if key != "run_dir")
    rows: Rows = [(key, *values) for key in keys if len(set(values := [_text(one, key) for one in flat])) > 1]
    return Grid("", rows, ("key", *names), ("key", *names))


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, item in value.items():
        key = f"{prefix}{name}"
        found += _flat(item, f"{key}.") if isinstance(item, dict) and item else [(key, item)]
    return found


def _text(settings: dict[str, Any], key: str) -> str:
    if key not in settings:
        return NONE
    value = settings[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def recalls(inspection: Inspection) -> list[tuple[str, float, int]]:
    """Of every class its name, the share of its test images that are named so, and their number."""
    images, right = [0] * len(inspection.classes), [0] * len(inspection.classes)
    for cell in inspection.confusion:
        images[cell.true] += cell.images
        right[cell.true] += cell.images if cell.named == cell.true else 0
    rows = zip(inspection.classes, right, images, strict=True)
    return [(name, hits / count, count) for name, hits, count in rows if count]


def _network(run: RunSummary) -> str:
    if run.exported is None:
        return ""
    layers = run.exported.net.layers
    return f"{len(layers)} layers {' '.join(map(layer_text, layers))}"


def _block(run: RunSummary) -> str:
    if run.of_first:
        return ""
    found = run.net.block if run.net is not None else None
    found = found or (run.block.block if run.block is not None else None)
    return block_text(found) if found is not None else ""


def _ladder(run: RunSummary) -> str:
    if run.ladder is None:
        return ""
    rungs = "; ".join(f"{one.image_size} px {percent(one.top1_test)} {ms(one.latency_ms)}" for one in run.ladder.rungs)
    return f"{run.ladder.net}: {rungs}"


def _of_train(said: Callable[[Any], str]) -> Callable[[RunSummary], str]:
    return lambda run: said(run.exported) if run.exported is not None else ""


def _of_export(said: Callable[[Any], str]) -> Callable[[RunSummary], str]:
    return lambda run: said(run.export) if run.export is not None else ""


FIGURES: tuple[tuple[str, Callable[[RunSummary], str]], ...] = (
    ("top-1 INT8, test", _of_export(lambda one: percent(one.int8.top1))),
    ("top-1 FP32, test", _of_export(lambda one: percent(one.fp32.top1))),
    ("top-1 fake-quant, val", _of_train(lambda one: percent(one.fake_quant.val))),
    ("latency INT8 measured", _of_export(lambda one: ms(one.int8.latency_ms_p50))),
    ("latency INT8 predicted", _of_export(lambda one: ms(one.predicted_ms))),
    ("latency budget", lambda run: ms(run.net.budget_ms) if run.net is not None else ""),
    ("latency FP32 measured", _of_export(lambda one: ms(one.fp32.latency_ms_p50))),
    ("measured on", lambda run: run.cpu),
    ("size INT8", _of_export(lambda one: kib(one.int8.size_bytes))),
    ("parameters", _of_train(lambda one: f"{one.parameters:,}")),
    ("multiply-adds", _of_train(lambda one: f"{one.macs:,}")),
    ("test images", _of_train(lambda one: str(one.split.test))),
    ("image size", _of_train(lambda one: f"{one.images.image_size} px")),
    ("seed", _of_train(lambda one: str(one.seed))),
    ("training", _of_train(lambda one: f"{one.seconds / 60:.1f} min")),
    ("block", _block),
    ("network", _network),
    ("ladder", _ladder),
)
