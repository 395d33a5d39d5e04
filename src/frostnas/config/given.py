"""What a config gives, so that no stage has to make it. Needs no torch."""

from __future__ import annotations

from frostnas.config.schema import Config


def given(config: Config) -> frozenset[str]:
    """The stages whose output is given: by `block=` or `parent.net=`, by `table=`, or by `net=`, which makes all of the
    search needless."""
    net = config.net is not None
    found = {
        "search-block": net or config.block is not None or config.parent.net is not None,
        "profile-latency": net or config.table is not None,
        "search-net": net,
    }
    return frozenset(name for name, is_given in found.items() if is_given)
