"""Which rules have looked at everything a raw partition still holds, written beside the group's position.

The note answers one question after a restart or a change of rules: which correlations must be shown older records
again, because nobody looked at those records on their behalf?
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from streamer.service.roles.attempts import Attempt
from streamer.sigma.rules import CorrelationRule, RuleSet
from streamer.stages.wire import meaning_of, version_of

LARGEST: Final = 3_900
"""Bytes of a note; Kafka's own default allows 4,096, and :class:`Reached` needs some."""
_DIGEST: Final = 6
"""Bytes by which a note tells a meaning: two of a thousand rules are alike once in half a billion rule sets."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What looked at a raw partition up to the position beside which this stands.

    Attributes:
        version: of the rule set.
        meanings: of its correlations; ``None`` where they were too many to be written down.
        since_us: they have seen what is newer than this; ``None``: everything.
        knows_since: whether ``since_us`` says anything.
    """

    version: str
    meanings: frozenset[bytes] | None
    since_us: int | None = None
    knows_since: bool = False

    @classmethod
    def of(cls, rules: RuleSet) -> Coverage:
        """Of rules that begin to look."""
        return cls(version_of(rules), frozenset(map(_digest, rules.correlations)))

    def missing(self, rules: RuleSet) -> frozenset[str]:
        """Keys of the correlations that have not looked."""
        if self.version == version_of(rules):
            return frozenset()
        known = self.meanings or frozenset()
        return frozenset(rule.meta.key for rule in rules.correlations if _digest(rule) not in known)

    def note(self, attempt: Attempt | None = None) -> str:
        """At most :data:`LARGEST` bytes of text; also says who began to go on from this position, if somebody did."""
        said: dict[str, Any] = {"v": self.version}
        if attempt is not None:
            said["a"] = [attempt.count, attempt.left, attempt.tries, attempt.process]
        if self.knows_since:
            said["s"] = self.since_us
        whole = {**said, "m": _text(self.meanings)} if self.meanings is not None else said
        text = json.dumps(whole, separators=(",", ":"))
        return text if len(text) <= LARGEST else json.dumps(said, separators=(",", ":"))


def read_note(note: str | None) -> Coverage | None:
    """What a note says; ``None`` for none, or for one that is not ours."""
    if not note:
        return None
    try:
        said = json.loads(note)
        meanings = _meanings(said["m"]) if "m" in said else None
        return Coverage(str(said["v"]), meanings, said.get("s"), "s" in said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class Reached:
    """How far detecting was at a committed position.

    Attributes:
        sent_below: matches of records below this offset were sent; 0: of those below the position. The position is
            smaller where a line is not finished.
        watermark_us: everything older was sent; ``None`` as long as that cannot be said.
    """

    sent_below: int = 0
    watermark_us: int | None = None

    def added_to(self, note: str) -> str:
        """The note with this in it."""
        said = (f'"n":{self.sent_below}' if self.sent_below else "", self._watermark)
        more = ",".join(filter(None, said))
        return f"{note[:-1]},{more}}}" if note and more else note

    @property
    def _watermark(self) -> str:
        return "" if self.watermark_us is None else f'"w":{self.watermark_us}'


def reached_in(note: str | None) -> Reached:
    """How far detecting was when a note was written."""
    try:
        said = json.loads(note or "{}")
        return Reached(int(said.get("n", 0)), None if said.get("w") is None else int(said["w"]))
    except (ValueError, TypeError, AttributeError):
        return Reached()


def attempt_in(note: str | None, position: int) -> Attempt | None:
    """Who began to go on from the position of a note; ``None`` if nobody did."""
    try:
        count, left, tries, process = json.loads(note or "")["a"]
        return Attempt(position, int(count), int(left), bool(tries), str(process))
    except (ValueError, KeyError, TypeError):
        return None


def _digest(rule: CorrelationRule) -> bytes:
    return meaning_of(rule)[:_DIGEST]


def _text(meanings: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(meanings))).decode()


def _meanings(text: str) -> frozenset[bytes]:
    data = base64.b64decode(text, validate=True)
    return frozenset(data[start : start + _DIGEST] for start in range(0, len(data), _DIGEST))
