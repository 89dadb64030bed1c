"""What the changelog holds beside state: the words of the protocol, as a test may know them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from streamer.kafka.ledger.entries import PROGRESS, PROTOCOL
from streamer.service.roles import attempts

_OWN = PROTOCOL | {attempts.KEY}


def is_protocol(key: bytes) -> bool:
    """Whether an entry is no state of the core."""
    return key in _OWN


def position_of(entries: Mapping[bytes, bytes]) -> int:
    """The next input offset; 0 where the partition was never owned."""
    value = entries.get(PROGRESS)
    return 0 if value is None else int(orjson.loads(value)["position"])
