"""Settings shared by all tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings

from frostnas.readable import encodable
from tests.forked import Commands, commands

settings.register_profile("frostnas", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("frostnas")
torch.set_num_threads(1)  # small tensors; and results that do not depend on the machine's cores


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """With several processes (`-n 2`) a report is sent in UTF-8, which output with odd file names is not."""
    return encodable((yield))


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Runs commands in processes of their own; they start at once."""
    with commands(tmp_path_factory.mktemp("said")) as made:
        yield made
