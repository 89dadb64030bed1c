"""Who gets which partition: everybody the same number, and everybody keeps what it has.

The client brings three assignors. Round robin and range deal anew whenever somebody comes or goes, and a partition that
moves costs the restoring of its state; the sticky one keeps what it knows on its class, so that several consumers of
one process would mix theirs. A consumer is given exactly one assignor, because the client joins once per assignor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

# The client library has no annotations.
_Assignor: Any = AbstractPartitionAssignor
_metadata: Any = ConsumerProtocolMemberMetadata
_assignment: Any = ConsumerProtocolMemberAssignment

_VERSION: Final = 0


class KeepingAssignor(_Assignor):  # type: ignore[misc]
    """One object per consumer: it remembers what that consumer has, and tells it when it joins again."""

    name = "streamer-keeping"

    def __init__(self) -> None:
        self._held: list[TopicPartition] = []

    def metadata(self, topics: Iterable[str]) -> Any:
        """What this consumer says when it joins: its topics, and what it has."""
        return _metadata(_VERSION, sorted(topics), orjson.dumps([list(tp) for tp in self._held]))

    def on_assignment(self, assignment: Any) -> None:
        """Remember what was assigned."""
        self._held = sorted(assignment.partitions())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Deal the partitions; called in the consumer that the broker made the leader of its group."""
        wanted = {name: frozenset(member.subscription) for name, member in members.items()}
        topics = frozenset[str]().union(*wanted.values())
        partitions = [
            TopicPartition(topic, number)
            for topic in sorted(topics)
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        held = {name: _held_by(member.user_data) for name, member in members.items()}
        dealt = {name: list[TopicPartition]() for name in members}
        # A member that is given what it did not ask for leaves the group with an error. While a topic is being added
        # to the configuration, only some have asked for it.
        for askers, theirs in _by_askers(partitions, wanted).items():
            for name, given in deal(theirs, {name: held[name] for name in askers}).items():
                dealt[name] += given
        return {name: _assignment(_VERSION, _by_topic(dealt[name]), b"") for name in members}


def deal(
    partitions: Iterable[TopicPartition], held: Mapping[str, Iterable[TopicPartition]]
) -> dict[str, list[TopicPartition]]:
    """Partitions per member, numbers differing by one at most, as few moving as that allows.

    Args:
        partitions: all there are.
        held: per member what it had; where two claim one, the first by name has it.
    """
    free = dict.fromkeys(sorted(partitions))
    fair, extra = divmod(len(free), len(held)) if held else (0, 0)
    dealt: dict[str, list[TopicPartition]] = {}
    # Those that have most keep one more than the others, so that it need not move.
    for member in sorted(held, key=lambda name: (-len(list(held[name])), name)):
        kept = [tp for tp in sorted(set(held[member])) if tp in free]
        quota = fair + 1 if extra and len(kept) > fair else fair
        extra -= quota > fair
        dealt[member] = kept[:quota]
        for tp in dealt[member]:
            del free[tp]
    for tp in free:
        emptiest = min(dealt, key=lambda name: (len(dealt[name]), name))
        dealt[emptiest].append(tp)
    return dealt


def _by_askers(
    partitions: Iterable[TopicPartition], wanted: Mapping[str, frozenset[str]]
) -> dict[tuple[str, ...], list[TopicPartition]]:
    """Partitions by the members that want their topic; all of them together where all want the same."""
    found: dict[tuple[str, ...], list[TopicPartition]] = {}
    for tp in partitions:
        askers = tuple(sorted(name for name, topics in wanted.items() if tp.topic in topics))
        found.setdefault(askers, []).append(tp)
    return found


def _held_by(user_data: bytes | None) -> list[TopicPartition]:
    try:
        return [TopicPartition(str(topic), int(number)) for topic, number in orjson.loads(user_data or b"[]")]
    except (orjson.JSONDecodeError, TypeError, ValueError):
        return []


def _by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    grouped: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        grouped.setdefault(tp.topic, []).append(tp.partition)
    return list(grouped.items())
