"""Every chain at two speeds and in two envelopes, each in a cluster of its own, woven into the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

from tests.day import envelopes
from tests.day.chain_reading import SPEEDS, Chain
from tests.day.ink import DAY, HOUR, SECOND, Written
from tests.day.shipping import Message, message_of

PACKINGS = ("plain", "wrapped")
"""``plain``: raw audit events and Fluent Bit's lines. ``wrapped``: EventList or AKS, and OTLP, Vector or Fluentd."""


@dataclass(frozen=True)
class Instance:
    """One telling of a chain."""

    chain: Chain
    speed: str
    packing: str
    begin: int

    @property
    def cluster(self) -> str:
        """Its own cluster."""
        return f"{self.chain.number:02d}-{self.chain.name.replace('_', '-')}-{self.speed}-{self.packing}"

    def written(self) -> list[Written]:
        """Its records."""
        return self.chain.written(self.begin, self.speed, self.cluster)

    @property
    def last(self) -> int:
        """Time of the last event of its last step."""
        return self.begin + self.chain.length(self.speed)

    def messages(self, draw: Random) -> list[Message]:
        """Its messages, some held up by seconds."""
        audit, lines = self._routes(draw)
        found: list[Message] = []
        waiting: dict[str, list[Written]] = {}
        for one in sorted(self.written(), key=lambda one: one.at):
            route = audit if one.kind == "audit" else lines
            size = (envelopes.AUDIT if one.kind == "audit" else envelopes.LINES)[route][1]
            held = waiting.setdefault(one.kind, [])
            if held and (len(held) >= size or one.at - held[0].at > SECOND):
                found.append(message_of(held, route))
                held.clear()
            held.append(one)
        for kind, held in waiting.items():
            if held:
                found.append(message_of(held, audit if kind == "audit" else lines))
        return [message._replace(at=message.at + draw.randrange(3 * SECOND)) for message in found]

    def _routes(self, draw: Random) -> tuple[str, str]:
        if self.packing == "plain":
            return "raw", "fluent-bit"
        return draw.choice(("event-list", "aks")), draw.choice(("otlp", "vector", "fluentd"))


def instances(chains: Iterable[Chain], begin: int, seed: int) -> list[Instance]:
    """All tellings, spread over the day that begins at ``begin``.

    A chain longer than a day begins on the day before: its first steps are what rules learn from.
    """
    draw = Random(f"{seed}/chains")
    found: list[Instance] = []
    for chain in chains:
        for speed in SPEEDS:
            for packing in PACKINGS:
                earliest, latest = HOUR // 4, DAY - HOUR - chain.length(speed)
                start = draw.randrange(earliest, latest) if latest > earliest else latest - draw.randrange(HOUR)
                found.append(Instance(chain, speed, packing, begin + start))
    return found


def woven(
    past: Sequence[Message], day: Sequence[Message], told: Iterable[Instance], seed: int
) -> tuple[list[Message], list[Message]]:
    """The messages of the day before, and those of the day, each with those of the chains, in the order of arrival."""
    draw = Random(f"{seed}/weaving")
    more = [message for instance in told for message in instance.messages(draw)]
    border = day[0].at
    return (
        sorted([*past, *(one for one in more if one.at < border)], key=lambda message: message.at),
        sorted([*day, *(one for one in more if one.at >= border)], key=lambda message: message.at),
    )
