"""The command line."""

from frostnas.cli.app import app, main

__all__ = ["app", "main"]
