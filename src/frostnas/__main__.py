"""`python -m frostnas`."""

from frostnas.cli import main

main()
