"""One thread where nothing else is said: tiny tiles gain nothing from two, and lose much on a machine that is busy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, params=[1])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """torch's threads, and thereby the number of workers; a test that wants others parametrizes this."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
