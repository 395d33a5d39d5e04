"""Settings shared by all tests."""

from __future__ import annotations

import torch
from hypothesis import settings

settings.register_profile("frostnas", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("frostnas")
torch.set_num_threads(1)  # small tensors; and results that do not depend on the machine's cores
