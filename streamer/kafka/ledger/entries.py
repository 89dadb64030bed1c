"""What stands in the changelog beside state entries: who took over last, and where the input goes on.

Both are JSON, so that ``kafka-console-consumer`` shows them to an operator::

    __barrier__   {"schema": 1, "token": "5f0c…"}     written once per takeover, read back by its own token
    __progress__  {"schema": 1, "position": 1234}     written in every step: the next input offset
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from streamer.errors import StateError

BARRIER: Final = b"__barrier__"
PROGRESS: Final = b"__progress__"
PROTOCOL: Final = frozenset({BARRIER, PROGRESS})
"""Keys that no state entry may have."""

SCHEMA: Final = 1
"""Goes up when an older streamer could no longer go on with what a newer one wrote."""


def barrier(token: str) -> bytes:
    """The value of ``__barrier__``."""
    return orjson.dumps({"schema": SCHEMA, "token": token})


def token_of(value: bytes) -> str | None:
    """The token of a barrier; ``None`` where it cannot be read: then it is not ours."""
    fields = _fields(value)
    token = fields.get("token") if fields is not None else None
    return token if isinstance(token, str) else None


def progress(position: int) -> bytes:
    """The value of ``__progress__``."""
    return orjson.dumps({"schema": SCHEMA, "position": position})


def position_of(value: bytes, where: str) -> int:
    """The next input offset that a ``__progress__`` holds.

    Args:
        value: as written.
        where: topic and partition, for the sentence.

    Raises:
        StateError: it was written by a newer streamer, or is not ours.
    """
    fields = _fields(value) or {}
    schema, position = fields.get("schema"), fields.get("position")
    if isinstance(schema, int) and schema > SCHEMA:
        raise StateError(
            f"{where} was written by a newer streamer (schema {schema}, this one reads up to {SCHEMA})",
            hint="Run the newer version again, or begin anew with another prefix.",
        )
    if schema != SCHEMA or not isinstance(position, int) or position < 0:
        raise StateError(
            f"{where} holds a progress that streamer did not write: {value[:80]!r}",
            hint="Does something else write to this topic?",
        )
    return position


def _fields(value: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None
