"""A broker of our own for each module: killing it disturbs nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.broker import ProxiedKafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[ProxiedKafka]:
    """It can be reached directly and through the proxy."""
    server = ProxiedKafka()
    try:
        server.start()
        yield server
    finally:
        server.close()
