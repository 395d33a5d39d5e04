"""Random numbers for GradBoost: |Laplace(0, 1)| for a random half of the draws and 0 for the others, from a table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ENTRIES = 2**20
RUN = 2**18  # most draws in a row from one place


class NoiseTable:
    """Draws that depend on a seed and a step alone: nothing of them needs to be stored.

    Making millions of numbers took two fifths of GradBoost's time. So they are read from a table, each run of them from
    a random place onward (evolution strategies share their noise alike, arXiv 1703.03864, section 2.1). Over the steps
    each weight meets most of the table, beside new neighbours each time; within a step distant weights can meet the
    same entry.
    """

    def __init__(self, seed: int, toss_coin: bool, device: torch.device) -> None:
        """Args: seed: not negative. toss_coin: False leaves out the zeros. device: of the draws, the same on each."""
        self.seed = seed
        random = np.random.default_rng(seed)
        entries = random.standard_exponential(ENTRIES, dtype=np.float32)  # |Laplace(0, 1)| is exponential
        if toss_coin:
            entries *= random.integers(0, 2, ENTRIES, dtype=np.int8)
        self.entries = torch.from_numpy(entries).to(device)

    def places(self, step: int) -> np.random.Generator:
        """What chooses the places of a step, for `draw`."""
        return np.random.default_rng((self.seed, step))

    def draw(self, count: int, places: np.random.Generator) -> Tensor:
        """float32 (count,), to be read only."""
        sizes = [RUN] * (count // RUN) + [count % RUN] * (count % RUN > 0)
        starts = places.integers(0, ENTRIES - RUN, len(sizes), endpoint=True).tolist()
        runs = [self.entries[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        return runs[0] if len(runs) == 1 else torch.cat(runs)
