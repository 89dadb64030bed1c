"""State for rules that are new: older records are read again on their behalf, and for nobody else.

What the rules that went on have seen is not sent to them again. The reading that goes on is not held up: until a raw
partition has been read again, it is told under the version that it was told under before, so that rules which did not
change are judged on, and those which did wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from streamer.decode import Source
from streamer.errors import LedgerLost, ServerError
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.outlet import Outlet
from streamer.kafka.rereading import Rereader, Stretch
from streamer.model import Record
from streamer.ports import Message, Partition
from streamer.service.patience import Backoff
from streamer.service.roles.composing import Refused
from streamer.service.roles.numbers import DetectNumbers
from streamer.sigma.rules import DAY_US, RuleSet
from streamer.stages import wire
from streamer.stages.addressing import Sent
from streamer.stages.detection import DetectStage
from streamer.stages.wire import version_of

_log = structlog.get_logger("streamer.detect")
LONGEST_US: Final = DAY_US
"""How far back at most: what a longer timespan would need costs more than it finds."""
MOST_RECORDS: Final = 1_000_000
"""Records of one raw partition read again at most: about a minute or two of one core."""


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What a rebuild needs, whatever the rules.

    Attributes:
        connection: which Kafka.
        topic: of the detections.
        partitions: how many it has.
        numbers: counts.
        now_us: the clock.
    """

    connection: KafkaConnection
    topic: str
    partitions: int
    numbers: DetectNumbers
    now_us: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One raw partition for some correlations.

    Attributes:
        partition: which.
        source: what it carries.
        until: the running detection begins here with the new rules.
        rules: the new rules.
        only: keys of the correlations that have not seen what is older.
    """

    partition: Partition
    source: Source
    until: int
    rules: RuleSet
    only: frozenset[str]

    @property
    def span_us(self) -> int:
        """How far back their windows reach, and how late what stands in them may be."""
        spans = [rule.timespan_us + rule.reach_us for rule in self.rules.correlations if rule.meta.key in self.only]
        return min(max(spans, default=0) + self.source.lateness_us, LONGEST_US)


async def rebuilt(rebuild: Rebuild, means: Rebuilding) -> int | None:
    """Read again and send what is found; waits for servers that are away.

    Returns:
        The rules have seen what is newer than this (microseconds); ``None``: everything that is kept.
    """
    topic, number = rebuild.partition
    _log.info("reading again for new rules", topic=topic, partition=number, rules=len(rebuild.only))
    backoff, refused = Backoff(), Refused()
    while True:
        try:
            return await _attempt(rebuild, means, refused)
        except ServerError as error:
            _log.warning("reading again begins anew", topic=topic, partition=number, error=error.message)
            await asyncio.sleep(backoff.after(error))


async def _attempt(rebuild: Rebuild, means: Rebuilding, refused: Refused) -> int | None:
    lane = f"{version_of(rebuild.rules)}/rebuild"
    stage = DetectStage(rebuild.rules, partitions=means.partitions, lane=lane, only=rebuild.only)
    stretch = Stretch(rebuild.partition, rebuild.until, rebuild.span_us, MOST_RECORDS)
    rereader = Rereader(means.connection, stretch, now_us=means.now_us)
    outlet = Outlet(means.connection, name="detections for new rules")
    count = 0
    try:
        await outlet.start()
        stage.take(rebuild.partition, rebuild.source)
        async for records in rereader.batches():
            addressed = fed(stage, records)
            messages = [Message(means.topic, to, wire.kafka_key(one), wire.encode(one)) for to, one in addressed]
            await outlet.send_all([message for message in messages if refused.reason(message) is None])
            count += len(records)
            means.numbers.rebuilt += len(records)
    except LedgerLost as error:
        if isinstance(error.culprit, Message):
            refused.add(error.culprit, error.message)
        raise
    finally:
        await outlet.stop()
    (told,) = stage.told({}).sources
    topic, number = rebuild.partition
    _log.info(
        "read again for new rules",
        topic=topic,
        partition=number,
        records=count,
        since_us=told.since_us,
        is_cut=rereader.is_cut or _is_longer(rebuild),
    )
    return told.since_us


def fed(stage: DetectStage, records: Sequence[Record]) -> list[Sent]:
    """What the records give; one that cannot be detected on is passed over, as the reading that goes on did."""
    found: list[Sent] = []
    for record in records:
        try:
            found += stage.feed([record]).addressed
        except Exception as error:  # noqa: BLE001 (whatever it was: it must not hold up detecting)
            said = f"{type(error).__name__}: {error}"[:500]
            _log.error("a record is passed over while reading again", position=str(record.position), reason=said)
    return found


def _is_longer(rebuild: Rebuild) -> bool:
    """Whether a window reaches further back than anything is read again."""
    spans = (rule.timespan_us for rule in rebuild.rules.correlations if rule.meta.key in rebuild.only)
    return max(spans, default=0) > LONGEST_US
