"""Sphinx's settings; `make docs` builds the pages, and a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import reference
from frostnas.version import __version__

project, author, release = "frostnas", "The frostnas authors", __version__
copyright = "the frostnas authors, Apache-2.0"
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_show_sourcelink = False
templates_path: list[str] = []
exclude_patterns: list[str] = []
linkcheck_timeout, linkcheck_retries = 20, 2
suppress_warnings = ["misc.highlighting_failure"]


def setup(app: object) -> None:
    """Write the reference from the code before the pages are read."""
    reference.write(Path(__file__).parent / "reference")
