"""The formats beside ONNX by name; the libraries of one are an extra, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from frostnas.deploy.formats.base import Write
from frostnas.extras import need

ONNX = "onnx"


def writer(name: str) -> Write:
    """The function of a format other than ONNX."""
    if name == "openvino":
        from frostnas.deploy.formats import openvino

        return openvino.export
    if name == "executorch":
        from frostnas.deploy.formats import executorch

        return executorch.export
    from frostnas.deploy.formats import tflite

    return tflite.export


def check_installed(formats: Sequence[str]) -> None:
    """Raise unless every format's extra is there.

    Raises:
        InputError: one is missing; it names the command that installs it.
    """
    for name in formats:
        if name != ONNX:
            need(name, f"export.formats={name}")
