"""Planned beside taken: `frostnas run` with a time limit on the digits or on images of your own, stage by stage.

    python benchmarks/plan.py OUT [LIMIT [KEY=VALUE ...]]

e.g. `python benchmarks/plan.py /tmp/plan 10m` for the digits, and with `experiment=imagefolder data.root=photos
data.image_size=128` for a folder. Prints a line per stage of over a minute and whether it was within 25%, and for the
whole command whether it ended within 10% above its limit. For an idle machine.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from frostnas.artifacts import load
from frostnas.artifacts.plan import Plan
from frostnas.config.compose import compose_config
from frostnas.config.limits import seconds_of
from frostnas.pipeline.functions import run
from frostnas.pipeline.planning import PLAN

WITHIN, OVER = 0.25, 0.10
LONG_S = 60.0


def main(out: str, limit: str = "10m", *words: str) -> None:
    folder, start = Path(out), time.monotonic()
    run(compose_config([f"time_limit={limit}", *words, f"run_dir={folder}"]))
    taken, allowed = time.monotonic() - start, seconds_of("LIMIT", limit)
    for stage in load(folder / PLAN, Plan).value.stages:
        if stage.taken_s is None:
            continue
        off = stage.seconds / max(stage.taken_s, 1e-9) - 1
        near = "" if stage.taken_s < LONG_S else "  within 25%" if abs(off) <= WITHIN else "  MISSED 25%"
        print(f"{stage.name:16} planned {stage.seconds:7.1f} s  taken {stage.taken_s:7.1f} s  {off:+.0%}{near}")
    verdict = "within" if taken <= allowed * (1 + OVER) else "MISSED"
    print(f"{'all':16} limit   {allowed:7.1f} s  taken {taken:7.1f} s  {verdict} 10%")


if __name__ == "__main__":
    main(*sys.argv[1:])
