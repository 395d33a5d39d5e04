"""Figures on disk: whole files only, and the same bytes for the same figure."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from frostnas.artifacts import write_atomic

UNSAID: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write PNG or SVG by the path's ending; ``options`` are those of matplotlib's `savefig`."""
    kind, content = path.suffix[1:], io.BytesIO()
    with rc_context({"svg.hashsalt": "frostnas"}), warnings.catch_warnings():  # the same names inside an SVG each time
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands for what no font here can draw
        figure.savefig(content, format=kind, metadata=UNSAID[kind], **options)
    write_atomic(path, content.getvalue())
