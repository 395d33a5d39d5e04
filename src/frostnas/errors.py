"""The error that means: what the user gave is wrong."""

from __future__ import annotations

USABLE = "usable so far: "  # how a note begins that says what of a run is good already
TRACEBACK = "traceback in "  # how a note begins that says where an error's traceback was kept


class InputError(ValueError):
    """One line that names the key or file, what it is and what is accepted; the command line exits with 2."""
