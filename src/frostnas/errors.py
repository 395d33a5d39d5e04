"""The error that means: what the user gave is wrong."""

from __future__ import annotations


class InputError(ValueError):
    """One line that names the key or file, what it is and what is accepted; the command line exits with 2."""
